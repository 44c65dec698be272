"""What a person does to a run's answers: confirm, correct, name a cluster, undo and redo.

Each call writes one `ReviewAction`, whatever the number of images, and is undone as a whole.
Undo and redo are a person's own: they take back what *that author* did last, never another's work.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from core.errors import ConfigError, DataError
from webapp.config.prepared import prepared
from webapp.review.models import ClusterName, Correction, ReviewAction
from webapp.review.names import class_names, has_class_list
from webapp.review.queries import changed_since, with_standing
from webapp.runs.models import Prediction, Run

CLUSTER_NAME_CHARACTERS = 100
BATCH_IDS = 5000
"""Ids asked for in one query: SQLite takes at most 32,766 parameters."""


def confirm(run: Run, author: AbstractBaseUser, image_ids: Iterable[int], seen: str | None = None) -> ReviewAction:
    """Record that the standing labels of these images are right, as the author saw them.

    Args:
        run: whose answers.
        author: who says so.
        image_ids: which images.
        seen: the version of the answers that the author saw; None where that is the present one.

    Raises:
        DataError: no image is given, one is not an image of the run, or has another label by now than was seen.
    """
    standing = _standing(run, image_ids)
    if seen is not None:
        _refuse_unseen(run, standing, seen)
    return _record(run, author, f"confirmed {_images(len(standing))}", standing)


def correct(run: Run, author: AbstractBaseUser, image_ids: Iterable[int], class_index: int) -> ReviewAction:
    """Record that all these images are of class `class_index`.

    Raises:
        ConfigError: the run has no such class.
        DataError: no image is given, or one is not an image of the run.
    """
    name = _checked_name(run, class_index)
    ids = _of_run(run, image_ids)
    return _record(run, author, f"labelled {_images(len(ids))} {name}"[:200], dict.fromkeys(ids, class_index))


def correct_each(run: Run, author: AbstractBaseUser, answers: Mapping[int, int], what: str) -> ReviewAction:
    """Record a class for each of these images, by image id, as one action described as `what` and how many.

    Raises:
        ConfigError: the run has no such class.
        DataError: no image is given, or one is not an image of the run.
    """
    for class_index in set(answers.values()):
        _checked_name(run, class_index)
    ids = _of_run(run, answers)
    return _record(run, author, f"{what} {_images(len(ids))}", {one: answers[one] for one in ids})


def name_cluster(run: Run, author: AbstractBaseUser, class_index: int, name: str) -> ReviewAction:
    """Call a cluster `name`; two clusters may share a name, which makes them one label.

    Raises:
        ConfigError: the run has no such class, its names come from a class list, or the name cannot be used.
    """
    if has_class_list(run):
        raise ConfigError("cluster name", "the names of this run come from its class list: edit that list instead")
    old_name = _checked_name(run, class_index)
    name = " ".join(name.split())
    if not name:
        raise ConfigError("cluster name", "it is empty: write a name")
    if len(name) > CLUSTER_NAME_CHARACTERS:
        raise ConfigError("cluster name", f"it has {len(name)} characters: at most {CLUSTER_NAME_CHARACTERS}")
    if not name.isprintable():
        raise ConfigError("cluster name", "it holds a control character: write it with letters and digits")
    with transaction.atomic():
        action = ReviewAction.objects.create(run=run, author=author, description=f"named {old_name} {name}"[:200])
        ClusterName.objects.create(action=action, class_index=class_index, name=name)
    return action


def undo(run: Run, author: AbstractBaseUser, meant: int | None = None) -> ReviewAction | None:
    """Take back what this author did last in this run; return it, or None when there is nothing.

    Raises:
        DataError: it is not the action that is `meant`, by id.
    """
    with transaction.atomic():
        action = next_undo(run, author)
        _refuse_another(action, meant, "undo")
        if action is not None:
            action.undone_at = timezone.now()
            action.save(update_fields=["undone_at"])
    return action


def redo(run: Run, author: AbstractBaseUser, meant: int | None = None) -> ReviewAction | None:
    """Bring back what this author undid last; return it, or None when there is nothing.

    As in an editor, doing something new forgets what had been undone before it.

    Raises:
        DataError: it is not the action that is `meant`, by id.
    """
    with transaction.atomic():
        action = next_redo(run, author)
        _refuse_another(action, meant, "redo")
        if action is not None:
            action.undone_at = None
            action.save(update_fields=["undone_at"])
    return action


def next_undo(run: Run, author: AbstractBaseUser) -> ReviewAction | None:
    """Return the author's newest action that stands."""
    return next(iter(_standing_actions(run.pk, author.pk)), None)


def next_redo(run: Run, author: AbstractBaseUser) -> ReviewAction | None:
    """Return the author's undone action that comes back next: none where their newest one stands."""
    newest = next(iter(_actions(run.pk, author.pk)), None)
    if newest is None or newest.undone_at is None:
        return None
    return next(iter(_undone_since(run.pk, author.pk, newest.created_at)), None)


@prepared
def _actions(run: int, author: int, /) -> QuerySet[ReviewAction]:
    """Return the author's newest action."""
    return ReviewAction.objects.filter(run=run, author=author).order_by("-pk")[:1]


@prepared
def _standing_actions(run: int, author: int, /) -> QuerySet[ReviewAction]:
    """Return the author's newest action that stands."""
    return ReviewAction.objects.filter(run=run, author=author, undone_at=None).order_by("-pk")[:1]


@prepared
def _undone_since(run: int, author: int, newest: datetime, /) -> QuerySet[ReviewAction]:
    """Return the author's oldest action that was undone since they did something new."""
    return ReviewAction.objects.filter(run=run, author=author, undone_at__gte=newest).order_by("pk")[:1]


def _record(run: Run, author: AbstractBaseUser, description: str, answers: Mapping[int, int]) -> ReviewAction:
    with transaction.atomic():
        action = ReviewAction.objects.create(run=run, author=author, description=description)
        Correction.objects.bulk_create([Correction(action=action, image_id=image_id, class_index=class_index)
                                        for image_id, class_index in answers.items()])
    return action


def _checked_name(run: Run, class_index: int) -> str:
    names = class_names(run)
    if not 0 <= class_index < len(names):
        raise ConfigError("class", f"this run has no class {class_index}: choose one of its {len(names)}")
    return names[class_index]


def _of_run(run: Run, image_ids: Iterable[int]) -> list[int]:
    ids = list(dict.fromkeys(image_ids))
    if len(ids) == 1:
        found = set(_answer_to(run.pk, ids[0]))
    else:
        found = {one for batch in _batches(ids) for one in Prediction.objects.filter(
            run=run, image_id__in=batch).values_list("image_id", flat=True)}
    _refuse_strangers(ids, found)
    return ids


@prepared
def _answer_to(run: int, image: int, /) -> QuerySet[Prediction, int]:
    return Prediction.objects.filter(run=run, image_id=image).values_list("image_id", flat=True)


def _standing(run: Run, image_ids: Iterable[int]) -> dict[int, int]:
    ids = list(dict.fromkeys(image_ids))
    standing: dict[int, int] = {}
    for batch in _batches(ids):
        standing.update(with_standing(run).filter(image_id__in=batch).values_list("image_id", "standing"))
    _refuse_strangers(ids, standing.keys())
    return standing


def _refuse_unseen(run: Run, image_ids: Iterable[int], seen: str) -> None:
    ids = list(image_ids)
    changed = sum(len(changed_since(run, seen, batch)) for batch in _batches(ids))
    if changed:
        raise DataError("selection", f"somebody labelled {changed:,} of these meanwhile, so nothing was confirmed: "
                                     "look again")


def _refuse_another(action: ReviewAction | None, meant: int | None, verb: str) -> None:
    if meant is not None and (action is None or action.pk != meant):
        raise DataError(verb, "you did something else meanwhile, in another tab perhaps: look again at what "
                              f"{verb.capitalize()} names now")


def _refuse_strangers(ids: list[int], found: Iterable[int]) -> None:
    if not ids:
        raise DataError("selection", "no image is selected: click one, or select all that match")
    strangers = set(ids).difference(found)
    if strangers:
        raise DataError("selection", f"{_images(len(strangers))} of it are not answered by this run: select again")


def _batches(ids: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(ids), BATCH_IDS):
        yield ids[start:start + BATCH_IDS]


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count:,} images"
