"""Finished runs of one collection side by side: their figures, how far they agree, and where they do not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Case, F, IntegerField, Q, QuerySet, Value, When

from core.evaluation.estimate import Estimate
from webapp.collections.models import Collection, Image
from webapp.review.names import class_names
from webapp.review.queries import NO_CLASS, agreement, with_answers_of, with_standing
from webapp.runs.figures import Score, estimated, score
from webapp.runs.known_answers import Share, shares
from webapp.runs.models import Prediction, Run
from webapp.spot_checks.outcome import Outcome, standing

MOST_RUNS = 8


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One row of the table, and of the picture.

    Attributes:
        measured: on the known answers that all rows are measured on, or None where there are none.
        checked: by the standing spot check, or None. estimated: without labels, or None where no estimate holds.
        agreements: with each run of the table in its order, 0 … 1; None with itself and where no image has both.
        measures_best: whether no other row has a higher one. (The label-free score ranks no methods.)
    """

    run: Run
    score: Score
    measured: Share | None
    checked: Outcome | None
    estimated: Estimate | None
    agreements: Sequence[float | None]
    measures_best: bool


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One of the classes that runs gave a disputed image.

    Attributes:
        class_index: in the numbering of the run that is reviewed; None for a class that it has not.
        runs: who said so.
    """

    class_index: int | None
    name: str
    runs: Sequence[Run]


@dataclass(frozen=True, kw_only=True)
class Dispute:
    """An image that the runs answer differently; the commonest answer first."""

    image: Image
    answers: Sequence[Answer]
    corrected: int | None


def finished(collection: Collection) -> QuerySet[Run]:
    """Return the runs that can be compared, newest first."""
    return collection.runs.filter(status=Run.Status.SUCCEEDED).select_related(
        "class_list_version", "baseline").order_by("-created_at")


def choose(collection: Collection, wanted: Iterable[str]) -> list[Run]:
    """Return the runs whose numbers are wanted, at most `MOST_RUNS`; else the newest of each method."""
    numbers = {int(one) for one in wanted if one.isdecimal() and len(one) < 18}
    runs = list(finished(collection))
    chosen = [run for run in runs if run.pk in numbers]
    if len(chosen) < 2:
        chosen = list({run.method: run for run in reversed(runs)}.values())
    return sorted(chosen[:MOST_RUNS], key=lambda run: run.pk)


def table(runs: Sequence[Run]) -> list[Compared]:
    """Return the runs' figures in their order."""
    measured = shares(runs)
    best_measured = max((one.value for one in measured if one is not None), default=None)
    pairs = {(one.pk, other.pk): agreement(one, other) for at, one in enumerate(runs) for other in runs[:at]}
    return [Compared(
        run=run, score=score(run), measured=figure, checked=standing(run), estimated=estimated(run),
        measures_best=figure is not None and figure.value == best_measured,
        agreements=[pairs.get((run.pk, other.pk), pairs.get((other.pk, run.pk))) for other in runs],
    ) for run, figure in zip(runs, measured, strict=True)]


def reviewed(rows: Sequence[Compared]) -> Run:
    """Return the run whose labels a person would rather mend: measured best, else the newest that is no baseline."""
    baselines = {row.run.baseline_id for row in rows}
    return max(rows, key=lambda row: (row.measured.value if row.measured else -1.0, row.run.pk not in baselines,
                                      row.run.pk)).run


def disputed(run: Run, runs: Sequence[Run]) -> QuerySet[Prediction, Any]:
    """Return the run's predictions that others contradict, most contradicted and least sure first.

    Each has ``other_<pk>``, that run's answer in this run's numbering, and `against`, how many contradict.
    """
    found = with_standing(run)
    others = [other for other in runs if other.pk != run.pk]
    for other in others:
        found = with_answers_of(found, run, other, f"other_{other.pk}")
    against: Any = Value(0)
    for other in others:
        field = f"other_{other.pk}"
        contradicts = Q(**{f"{field}__isnull": False}) & ~Q(**{field: F("class_index")})
        against = against + Case(When(contradicts, then=Value(1)), default=Value(0), output_field=IntegerField())
    return found.annotate(against=against).filter(against__gt=0).select_related("image").order_by(
        "-against", "confidence", "pk")


def disputes(run: Run, runs: Sequence[Run], predictions: Iterable[Prediction]) -> list[Dispute]:
    """Return what each run says of these rows of `disputed`."""
    names = class_names(run)
    return [_dispute(run, runs, prediction, names) for prediction in predictions]


def _dispute(run: Run, runs: Sequence[Run], prediction: Any, names: Sequence[str]) -> Dispute:
    said: dict[int, list[Run]] = {}
    for one in runs:
        answer = prediction.class_index if one.pk == run.pk else getattr(prediction, f"other_{one.pk}")
        if answer is not None:
            said.setdefault(answer, []).append(one)
    commonest = Counter({index: len(who) for index, who in said.items()}).most_common()
    return Dispute(image=prediction.image, corrected=prediction.corrected, answers=[
        Answer(class_index=None if index == NO_CLASS else index, runs=said[index],
               name="something else" if index == NO_CLASS else names[index]) for index, _ in commonest])
