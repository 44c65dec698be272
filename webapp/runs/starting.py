"""Starting a run: the one way in, for the form, the API and "try again"."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import timedelta

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from core.baseline import SHARED, baseline_of
from core.catalog import METHODS, FinetuneSettings, Settings, from_scratch, parse, replays
from core.errors import ConfigError, DataError
from core.presets.table import PRESETS, recommend
from core.question import Question, fewest_labels, obstacle
from core.settings import Value, split_list
from webapp.collections.models import ClassListVersion, Collection, Upload
from webapp.collections.room import check_run
from webapp.review.confirmed import confirmed_labels
from webapp.runs.counting import answers_all, count_different, too_few
from webapp.runs.further import (
    brought,
    check_other,
    check_readable,
    count_brought,
    earlier_run,
    further_collections,
    other_collection,
)
from webapp.runs.models import LIVE, Run
from webapp.runs.room import package_bytes
from workers.app import send

MAX_SEED = 2**31 - 1
CHANGED = " (changed)"
"""Follows a preset's name where the person's own settings differ from it."""
ABANDONED = timedelta(minutes=2)
"""An upload that received nothing for this long no longer holds a run back; its client has gone."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
    """The question as rows: a class list version, or a number of classes, or neither."""

    version: ClassListVersion | None = None
    num_classes: int | None = None

    @classmethod
    def of(cls, collection: Collection) -> Asked:
        """Return the collection's own question."""
        return cls(version=collection.class_list_version, num_classes=collection.num_classes)


    def counting(self, num_classes: int | None) -> Asked:
        """Return the same question where it has as many classes, for names can still go to groups; else the number."""
        is_same = self.version is not None and len(self.version.names) == num_classes
        return self if is_same else Asked(num_classes=num_classes)


def question_of(collection: Collection, asked: Asked | None = None) -> Question:
    """Return what is asked of a collection, with the number of different pictures it is asked about."""
    asked = asked or Asked.of(collection)
    names = tuple(asked.version.names) if asked.version else ()
    labels = confirmed_labels(collection, asked.version or collection.class_list_version)
    return Question(num_images=count_different(collection), class_names=names, num_classes=asked.num_classes,
                    labelled=len(labels), labels_per_class=fewest_labels(labels.values(), len(names)),
                    confirmed=_confirmed(collection, asked.version))


def _confirmed(collection: Collection, version: ClassListVersion | None) -> float | None:
    """Return how far groups without names confirm the newest zero-shot answers in these names; None without any."""
    if version is None:
        return None
    answered = collection.runs.filter(method="zeroshot", class_list_version=version, status=Run.Status.SUCCEEDED)
    return answered.order_by("-pk").values_list("result__signals__group_agreement", flat=True).first()


def settings_of(collection: Collection, method: str, preset: str, values: Mapping[str, object],
                question: Question, num_further: int = 0) -> tuple[str, dict[str, Value]]:
    """Return the preset's name and every setting: the defaults, then the preset's, then `values`.

    Without a preset's name the one recommended for so many images is taken, those of further collections
    (`num_further`) included. Unless `values` say otherwise, what the collection says of mirror images holds, and groups
    are named by the images that a person labelled, if any.

    Raises:
        ConfigError: naming the setting, or the preset.
    """
    known = PRESETS.get(method, {})
    if preset and preset not in known:
        raise ConfigError("preset", f"{METHODS[method].title} has no preset {preset!r}; "
                                    f"it has {', '.join(known) or 'none'}")
    if preset:
        chosen: Mapping[str, object] = known[preset]
    else:
        given = dataclasses.asdict(parse(method, values))
        preset, chosen = recommend(method, question.num_images + num_further,
                                   split_list(given.get("backbone") or given["spaces"])[0])
    settings = dataclasses.asdict(parse(method, {**chosen, **values}))
    changed = any(settings[name] != value for name, value in chosen.items() if name in values)
    if "mirror" in settings and "mirror" not in values:
        settings["mirror"] = bool(settings["mirror"]) and collection.mirror
    if "names_from_labels" in settings and "names_from_labels" not in values:
        settings["names_from_labels"] = bool(question.class_names and question.labelled)
    return f"{preset}{CHANGED}" if preset and changed else preset, settings


def start_run(*, collection: Collection, method: str, values: Mapping[str, object], asked: Asked | None = None,
              preset: str = "", seed: int = 0, warm_up: Collection | None = None,
              replay: Collection | None = None, also: Sequence[Collection] = (),
              start_from: Run | None = None) -> Run:
    """Queue a run, and before it the baseline it is compared with.

    Raises:
        ConfigError: a setting, the method, the preset or the seed cannot be used.
        DataError: the collection or its question cannot be asked of this method, or its owner's quota is used up.
    """
    asked = asked or Asked.of(collection)
    if method not in METHODS:
        raise ConfigError("method", f"unknown method {method!r}; choose one of {', '.join(METHODS)}")
    if not 0 <= seed <= MAX_SEED:
        raise ConfigError("seed", f"{seed} is out of range; choose one from 0 to {MAX_SEED}")
    question = question_of(collection, asked)
    preset, settings = settings_of(collection, method, preset, values, question, count_brought(collection, also))
    parsed = parse(method, settings)
    check(collection, method, question, parsed)
    _check_also(collection, method, also)
    for field, other in (("warm_up", warm_up), ("replay", replay)):
        if other is not None:
            check_other(field, method, other)
    if start_from is not None:
        _check_start(start_from, settings)
    if isinstance(parsed, FinetuneSettings):
        replays(parsed, given=replay is not None)
    check_run(collection, package_bytes(foundations(settings)))
    with transaction.atomic():
        _hold(collection)
        baseline = _baseline(collection, parsed, method, asked, seed)
        run = Run.objects.create(
            collection=collection, owner=collection.owner, method=method, settings=settings, preset=preset, seed=seed,
            class_list_version=asked.version, num_classes=question.count, warm_up=warm_up,
            replay=replay, also=sorted({one.pk for one in also}), start_from=start_from, baseline=baseline)
        _send_on_commit(run)
    return run


def resume(run: Run, readable: QuerySet[Collection]) -> bool:
    """Let a paused run go on, or one that failed of what may work now; return whether it could.

    Args:
        run: its row.
        readable: the collections that the person may read by now.

    Raises:
        DataError: where it uses another collection, or a run of one, that they may not, or that is gone.
    """
    check_readable(run, readable)
    with transaction.atomic():
        _hold(run.collection)
        could = run.resume()
        if could:
            _send_on_commit(run)
    return could


def start_again(run: Run, readable: QuerySet[Collection] | None = None) -> Run:
    """Queue the same run once more, as a run of its own; `readable` are the collections that the person may read.

    Raises:
        DataError: where it used another collection, or a run of one, that they may not read by now, or that is gone.
    """
    if readable is not None:
        check_readable(run, readable)
    return start_run(collection=run.collection, method=run.method, values=run.settings, seed=run.seed,
                     preset=preset_of(run),
                     asked=Asked(version=run.class_list_version, num_classes=run.num_classes),
                     warm_up=other_collection(run, "warm_up"), replay=other_collection(run, "replay"),
                     also=further_collections(run, readable), start_from=earlier_run(run))


def adapted_runs(collection: Collection, others: QuerySet[Collection]) -> QuerySet[Run]:
    """Return the runs of these collections with whose encoder another can begin, the newest first."""
    adapting = [name for name, method in METHODS.items() if method.adapts]
    return Run.objects.filter(
        Q(collection=collection) | Q(collection__in=others), status=Run.Status.SUCCEEDED, method__in=adapting,
    ).select_related("collection").order_by("-pk")


def foundations(settings: Mapping[str, object]) -> tuple[str, ...]:
    """Return the foundation models that a run's settings choose."""
    return split_list(str(settings.get("spaces") or settings.get("backbone") or ""))


def preset_of(run: Run) -> str:
    """Return the preset a run was made from, "" where it is no more."""
    name = run.preset.removesuffix(CHANGED)
    return name if name in PRESETS.get(run.method, {}) else ""


def check(collection: Collection, method: str, question: Question, settings: Settings) -> None:
    """Refuse a question that cannot be answered, in words a person can act on.

    Raises:
        DataError: naming the images, the classes or the labels.
    """
    _check_uploads(collection)
    if lacking := too_few(question.num_images):
        raise DataError("images", lacking)
    hindrance = obstacle(method, question, settings)
    if hindrance:
        raise DataError(hindrance.lacking,
                        f"{METHODS[method].title}: {hindrance.reason.rstrip('.')}; {hindrance.fix.lower()}")
    if question.count is not None and question.count < 2:
        raise DataError("classes", "one class leaves nothing to tell apart; give at least two")


def _hold(collection: Collection) -> None:
    """Keep a collection out of the trash for the rest of a transaction: there nobody could see or stop its runs.

    Raises:
        DataError: where it is in the trash by now.
    """
    if Collection.objects.select_for_update(no_key=True).filter(pk=collection.pk, trashed_at=None).first() is None:
        raise DataError("collection", f"{collection.name!r} was deleted meanwhile; restore it from the trash first")


def _check_also(collection: Collection, method: str, also: Sequence[Collection]) -> None:
    """Refuse further collections that the method cannot join, or that add nothing."""
    if also and not METHODS[method].joins:
        raise ConfigError("also", f"{METHODS[method].title} adapts to one collection; leave the further ones out")
    for one in also:
        if one.pk == collection.pk:
            raise ConfigError("also", f"{one.name!r} is the run's own collection; leave it out")
        if waiting := _arriving(one):
            raise DataError("also", f"{waiting} uploads of {one.name!r} are still being read; wait until they are done")
        if not brought(collection, [one]).exists():
            raise DataError("also", f"{one.name!r} adds no images: it has none, or this collection has them too, or "
                                    "they are held out or set aside; leave it out")


def _check_start(earlier: Run, settings: Mapping[str, Value]) -> None:
    """Refuse to begin with a run that leaves no encoder, or one that the settings have no place for."""
    if earlier.status != Run.Status.SUCCEEDED or not METHODS[earlier.method].adapts:
        raise ConfigError("start_from", f"run {earlier.pk} ({METHODS[earlier.method].title}, {earlier.status}) has no "
                          "adapted encoder; choose a finished run of a method that adapts one, or none")
    held, wanted = foundations(earlier.settings), foundations(settings)
    if not set(held) & set(wanted):
        raise ConfigError("start_from", f"run {earlier.pk} holds an adapted {', '.join(held)}, this one begins with "
                          f"{', '.join(wanted)}: choose {held[0]} as the foundation model, or another run")
    if from_scratch(settings):
        raise ConfigError("start_from", "training from scratch begins with nothing; leave one of the two out")


def _arriving(collection: Collection) -> int:
    """Return how many uploads are still on their way into a collection."""
    reading = collection.uploads.filter(status__in=[Upload.Status.RECEIVED, Upload.Status.READING]).count()
    arriving = collection.uploads.filter(
        status=Upload.Status.RECEIVING, updated_at__gt=timezone.now() - ABANDONED).count()
    return reading + arriving


def _check_uploads(collection: Collection) -> None:
    """Refuse to start while images are still on their way in."""
    if waiting := _arriving(collection):
        raise DataError("uploads", f"{waiting} still being read, so the images are not all there yet; "
                                   "wait until they are done")


def _baseline(collection: Collection, settings: Settings, method: str, asked: Asked, seed: int) -> Run | None:
    """Return the run that the new one is compared with, queued now if there is none; None for a baseline itself.

    One that has ended answered the images that the new one will: none was added, set aside or brought back since.
    Without names or a number there is nothing to compare with before the run is over.
    """
    count = question_of(collection, asked).count
    found = baseline_of(method, settings, count)
    if found is None:
        return None
    kind, wanted = found[0], dataclasses.asdict(found[1])
    newest_image = collection.images.order_by("-created_at").first()
    known = collection.runs.select_for_update(no_key=True).filter(  # none goes to the trash meanwhile
        method=kind, class_list_version=asked.version, num_classes=count, status__in=[*LIVE, Run.Status.SUCCEEDED],
        created_at__gte=newest_image.created_at if newest_image else collection.created_at).order_by("-created_at")
    for run in known:
        is_wanted = all(run.settings.get(name) == wanted[name] for name in SHARED if name in wanted)
        if is_wanted and not run.settings.get("names_from_labels") and (run.status in LIVE or answers_all(run)):
            return run
    run = Run.objects.create(collection=collection, owner=collection.owner, method=kind, settings=wanted, seed=seed,
                             class_list_version=asked.version, num_classes=count)
    _send_on_commit(run)
    return run


def _send_on_commit(run: Run) -> None:
    """Tell the workers once the row is there; a broker that is away is made good by the reaper."""
    transaction.on_commit(lambda: send("workers.tasks.execute_run", run.pk, "gpu"))
