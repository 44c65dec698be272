"""The questions the review asks of the database: which images, in which order, with whose answers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from django.db.models import (
    Case,
    Count,
    Exists,
    F,
    FilteredRelation,
    IntegerField,
    Max,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
    Window,
)
from django.db.models.expressions import OrderBy
from django.db.models.functions import Coalesce, RowNumber

from core.errors import DataError
from core.evaluation.matching import best_match
from core.names import fold
from webapp.config.prepared import prepared
from webapp.review.models import Correction, ReviewAction
from webapp.review.names import class_names, has_class_list
from webapp.runs.models import Prediction, Run

ORDERS: Mapping[str, tuple[str | OrderBy, ...]] = {
    "Least sure first": ("confidence", "pk"),
    "Surest first": ("-confidence", "pk"),
    "Closest call first": ("margin", "pk"),
    "Most telling first": (F("telling").asc(nulls_last=True), "confidence", "pk"),
    "As uploaded": ("image__number",),
}
SOURCES: Mapping[str, bool | None] = {"Anyone": None, "Model": False, "Person": True}
"""What the form shows -> whether a standing correction must be there."""
VERSION = re.compile(r"[0-9]+-(?P<newest>[0-9]{1,18})-[0-9]+-(?P<at>[0-9]{1,10}(\.[0-9]{1,9})?)")
"""How `version` writes it."""
NO_CLASS = -1
"""Stands in for a class of the baseline that matches none of the run's."""


def version(run_id: int) -> str:
    """Return a text that changes with every action, undo and redo of a run."""
    newest, undone, at = next(iter(_done(run_id)), (0, 0, None))
    return f"{run_id}-{newest}-{undone}-{at.timestamp() if at else 0}"


def changed_since(run: Run, seen: str, image_ids: Sequence[int]) -> set[int]:
    """Return which of these images were labelled, or had a label undone, after a `version` of the run was seen.

    Raises:
        DataError: `seen` is no version.
    """
    if seen == version(run.pk):
        return set()
    written = VERSION.fullmatch(seen)
    if written is None:
        raise DataError("selection", "the page sent something unreadable: reload it")
    later = Q(action_id__gt=int(written["newest"]), action__undone_at=None) | Q(
        action__undone_at__gt=datetime.fromtimestamp(float(written["at"]), UTC))
    return set(Correction.objects.filter(later, action__run=run, image_id__in=image_ids).values_list(
        "image_id", flat=True))


@prepared
def _done(run: int, /) -> QuerySet[ReviewAction, tuple[int, int, datetime | None]]:
    return ReviewAction.objects.filter(run=run).order_by().values("run").annotate(
        newest=Max("pk"), undone=Count("undone_at"), at=Max("undone_at")).values_list("newest", "undone", "at")


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which answers of a run to look at, and in which order.

    Attributes:
        class_index: only images whose standing label is this class; None for all.
        source: a key of `SOURCES`.
        confidence_from, confidence_to: the model's confidence, inclusive, 0 … 1.
        order: a key of `ORDERS`.
        disagreeing: only images that the baseline answers differently.
    """

    class_index: int | None = None
    source: str = "Anyone"
    confidence_from: float = 0.0
    confidence_to: float = 1.0
    order: str = "Least sure first"
    disagreeing: bool = False

    @property
    def is_whole(self) -> bool:
        """Tell whether nothing is left out."""
        return self == Filter(order=self.order)


def with_standing(run: Run | int) -> QuerySet[Prediction, Any]:
    """Return the run's predictions, each with `corrected` (a person's class or None) and `standing` (what counts)."""
    newest = Correction.objects.filter(
        image=OuterRef("image"), action__run=run, action__undone_at=None).order_by("-action_id")
    return Prediction.objects.filter(run=run).annotate(
        corrected=Subquery(newest.values("class_index")[:1]),
    ).annotate(standing=Coalesce("corrected", "class_index"))


def with_baseline(answers: QuerySet[Prediction, Any], run: Run) -> QuerySet[Prediction, Any]:
    """Add `baseline_class`, in the run's own numbering: None where the baseline has no answer."""
    return with_answers_of(answers, run, run.baseline, "baseline_class")


def with_answers_of(answers: QuerySet[Prediction, Any], run: Run, other: Run | None, field: str,
                    ) -> QuerySet[Prediction, Any]:
    """Add another run's answers as `field`, in the run's own numbering: None where it has no answer."""
    return _with_answers(answers, other, field, matched_classes(run, other))


def _with_answers(answers: QuerySet[Prediction, Any], other: Run | int | None, field: str,
                  matched: Mapping[int, int] | None) -> QuerySet[Prediction, Any]:
    """Add another run's answers as `field`; `matched` is their class -> the run's, None where both are the same."""
    answers = answers.annotate(**{f"{field}_row": FilteredRelation(  # joined once: a subquery would run for each class
        "image__predictions", condition=Q(image__predictions__run=other))})
    theirs = f"{field}_row__class_index"
    if matched is None:
        return answers.annotate(**{field: F(theirs)})
    whens = [When(**{theirs: theirs_index}, then=Value(ours)) for theirs_index, ours in matched.items()]
    return answers.annotate(**{field: Case(
        *whens, When(**{f"{theirs}__isnull": True}, then=Value(None)), default=Value(NO_CLASS),
        output_field=IntegerField())})


def matched_classes(run: Run, other: Run | None) -> dict[int, int] | None:
    """Return the other's class -> the run's class, or None where both number the classes alike.

    Names are compared where two class lists share some. Clusterings number their clusters by chance: they are matched
    one to one, so that as many images as can be agree.
    """
    if other is None or same_words(run, other):
        return None
    return _same_names(run, other) or _matched(overlaps(run, other))


def _same_names(run: Run, other: Run) -> dict[int, int]:
    """Return the other's class -> the run's class of the same name; {} where they share none, or one has clusters."""
    if not (has_class_list(run) and has_class_list(other)):
        return {}
    place = {fold(name): index for index, name in enumerate(class_names(run))}
    return {index: place[fold(name)] for index, name in enumerate(class_names(other)) if fold(name) in place}


def _matched(found: Sequence[tuple[int, int, int]]) -> dict[int, int]:
    """Match the classes of `overlaps` one to one, as many images as can be."""
    together = np.zeros([1 + max((one[side] for one in found), default=-1) for side in (0, 1)], dtype=np.int64)
    for theirs_index, ours, images in found:
        together[theirs_index, ours] = images
    return {int(theirs): int(ours) for theirs, ours in zip(*best_match(together), strict=True)
            if together[theirs, ours]}


def same_words(run: Run, other: Run) -> bool:
    """Tell whether both runs answer in the names of the same class list."""
    return (has_class_list(run) and has_class_list(other)
            and run.class_list_version_id == other.class_list_version_id)


def overlaps(run: Run, other: Run) -> list[tuple[int, int, int]]:
    """Return (the other's class, the run's class, images with both answers), where there are any."""
    theirs = Prediction.objects.filter(run=other, image=OuterRef("image")).values("class_index")[:1]
    return list(Prediction.objects.filter(run=run).annotate(theirs=Subquery(theirs)).exclude(theirs=None).values_list(
        "theirs", "class_index").annotate(images=Count("pk")).order_by())


def agreement(run: Run, other: Run) -> float | None:
    """Return the share of images that both runs answer alike, classes matched; None where no image has both."""
    found = overlaps(run, other)
    matched = None if same_words(run, other) else _same_names(run, other) or _matched(found)
    alike = total = 0
    for theirs, ours, images in found:
        alike += images * ((theirs if matched is None else matched.get(theirs)) == ours)
        total += images
    return alike / total if total else None


def answers(run: Run, chosen: Filter) -> QuerySet[Prediction, Any]:
    """Return the predictions a filter asks for, in its order, with `corrected`, `standing` and `baseline_class`."""
    return _chosen(with_baseline(with_standing(run), run), chosen)


def answers_shown(run: Run, chosen: Filter, fields: tuple[str, ...], first: int, count: int) -> list[Any]:
    """Return `count` of `answers` from the one at `first`, of each a named tuple of some fields: a page of review."""
    matched = matched_classes(run, run.baseline)
    if matched is None:
        return _shown(run.pk, run.baseline_id or 0, chosen=chosen, fields=fields, first=first, count=count,
                      is_compared=run.baseline is not None)
    found = _chosen(_with_answers(with_standing(run), run.baseline, "baseline_class", matched), chosen)
    return list(found.values_list(*fields, named=True)[first:first + count])


@prepared
def _shown(run: int, baseline: int, /, *, chosen: Filter, fields: tuple[str, ...], first: int, count: int,
           is_compared: bool) -> QuerySet[Prediction, Any]:
    found = _with_answers(with_standing(run), baseline if is_compared else None, "baseline_class", None)
    return _chosen(found, chosen).values_list(*fields, named=True)[first:first + count]


def count_answers(run: Run, chosen: Filter) -> int:
    """Return how many `answers` there are; the baseline is asked only where the filter is about it."""
    return answers(run, chosen).count() if chosen.disagreeing else _chosen(with_standing(run), chosen).count()


def _chosen(found: QuerySet[Prediction, Any], chosen: Filter) -> QuerySet[Prediction, Any]:
    """Return what of predictions that have `corrected`, `standing` and `baseline_class` a filter asks for, in order."""
    if chosen.class_index is not None:
        found = found.filter(standing=chosen.class_index)
    by_person = SOURCES[chosen.source]
    if by_person is not None:
        found = found.filter(corrected__isnull=not by_person)
    if chosen.confidence_from > 0.0:
        found = found.filter(confidence__gte=chosen.confidence_from)
    if chosen.confidence_to < 1.0:
        found = found.filter(confidence__lte=chosen.confidence_to)
    if chosen.disagreeing:
        found = found.filter(baseline_class__isnull=False).exclude(baseline_class=F("class_index"))
    return found.order_by(*ORDERS[chosen.order])


@dataclass(frozen=True, kw_only=True)
class ClassCount:
    """One class as it stands: how many images, how many of them a person has spoken on."""

    class_index: int
    name: str
    images: int
    by_person: int


def class_counts(run: Run) -> list[ClassCount]:
    """Return a row for every class of the run, empty ones too, in the order of their names' list.

    The model's answers are counted by an index, and what people said is moved: `with_standing` would look for a
    correction of each image.
    """
    images = Counter(dict(_answered(run.pk)))
    by_person: Counter[int] = Counter()
    for said, answered, count in _said(run.pk):
        images[answered] -= count
        images[said] += count
        by_person[said] += count
    return [ClassCount(class_index=index, name=name, images=images[index], by_person=by_person[index])
            for index, name in enumerate(class_names(run))]


@prepared
def _answered(run: int, /) -> QuerySet[Prediction, tuple[int, int]]:
    """Return (class that the run answers, images)."""
    return Prediction.objects.filter(run=run).values_list("class_index").annotate(images=Count("pk")).order_by()


@prepared
def _said(run: int, /) -> QuerySet[Correction, tuple[int, int, int]]:
    """Return (class that a person says, class that the run answers, images), of the corrections that stand."""
    standing = Correction.objects.filter(action__run=run, action__undone_at=None)
    later = standing.filter(image=OuterRef("image"), action_id__gt=OuterRef("action_id"))
    answered = Prediction.objects.filter(run=run, image=OuterRef("image")).values("class_index")[:1]
    return standing.filter(~Exists(later)).annotate(answered=Subquery(answered)).filter(
        answered__isnull=False).values_list("class_index", "answered").annotate(images=Count("pk")).order_by()


def surest(run: Run, class_indices: Sequence[int], each: int) -> dict[int, list[int]]:
    """Return class index -> ids of its `each` surest images as the labels stand, for the classes asked for."""
    rows = with_standing(run).filter(standing__in=class_indices).annotate(place=Window(
        RowNumber(), partition_by=F("standing"), order_by=(F("confidence").desc(), F("pk").asc())))
    found: dict[int, list[int]] = {index: [] for index in class_indices}
    for index, image_id in rows.filter(place__lte=each).order_by("place").values_list("standing", "image_id"):
        found[index].append(image_id)
    return found
