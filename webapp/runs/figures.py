"""What a finished run's row says, as the figures and sentences its page shows. Reads rows, writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from core.evaluation import trust
from core.evaluation.estimate import Estimate
from core.evaluation.guard import Objection
from core.evaluation.spot_check import sentence
from core.evaluation.trust import Signs
from webapp.review.names import class_names, has_class_list
from webapp.runs.models import Run
from webapp.runs.words import title_of
from webapp.spot_checks.outcome import Outcome


@dataclass(frozen=True, kw_only=True)
class Score:
    """The label-free score of a run beside its baseline's, in points of 0 … 100."""

    own: float | None
    baseline: float | None


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One figure measured on known answers, beside the baseline's on the same images."""

    label: str
    unit: str
    own: float
    baseline: float | None


@dataclass(frozen=True, kw_only=True)
class Picture:
    """What stands beside a picture; see `core.pictures.Picture`."""

    name: str
    title: str
    caption: str
    columns: Sequence[str]
    rows: Sequence[str]


MEASURES = {
    "accuracy": ("right answers (measured accuracy)", "%"),
    "hungarian_accuracy": ("right answers, clusters matched to classes (measured accuracy)", "%"),
    "mean_per_class": ("mean over classes (measured accuracy)", "%"),
    "nmi": ("normalised mutual information", ""),
    "ami": ("adjusted mutual information", ""),
    "ari": ("adjusted Rand index", ""),
}
"""Key of the worker's figures -> what the page calls it, and its unit."""


def score(run: Run) -> Score:
    """Return the run's label-free score and its baseline's."""
    baseline = (run.result.get("baseline") or {}).get("label_free_score")
    if baseline is None and run.baseline is not None:
        baseline = run.baseline.result.get("label_free_score")
    return Score(own=_points(run.result.get("label_free_score")), baseline=_points(baseline))


def measures(run: Run, part: str = "measured") -> list[Measure]:
    """Return what was measured on known answers; nothing where there are none.

    Args:
        run: a finished one.
        part: "measured" for the images adapted to, "held_out" for those kept out.
    """
    own, baseline = run.result.get(part) or {}, _measured_baseline(run, part)
    found = []
    for name, (label, unit) in MEASURES.items():
        if own.get(name) is None:
            continue
        factor, other = (100 if unit else 1), baseline.get(name)
        found.append(Measure(label=label, unit=unit, own=factor * own[name],
                             baseline=None if other is None else factor * other))
    return found


def _measured_baseline(run: Run, part: str) -> Mapping[str, float]:
    """Return the baseline's figures on the images that the run is measured on; none where they were never taken.

    Its own are on all of them, and no match for a run that is measured without the images it learnt the label of.
    """
    beside = run.result.get("baseline") or {}
    if part in beside:
        return beside[part] or {}
    if run.baseline is None or (part == "measured" and run.result.get("taught")):
        return {}
    return run.baseline.result.get(part) or {}


def measured_note(run: Run) -> str:
    """Return what the run knew of the answers that it was measured by."""
    if taught := len(run.result.get("taught") or []):
        learner = "it, or a run that it began with," if run.start_from_id else "it"
        return (f"Measured without the {taught:,} images whose label, from review, {learner} learnt from; the other "
                "answers it never saw.")
    return "The run never saw these answers; only this table does."


def outdone(run: Run) -> Measure | None:
    """Return the first figure measured on known answers where the baseline has more right, or None."""
    first = next(iter(measures(run)), None)
    return first if first is not None and first.baseline is not None and first.own < first.baseline else None


def headline(run: Run, checked: Outcome | None = None, known: int | None = None) -> str:
    """Return the one sentence a person can repeat. What was not measured is called an estimate, or not accuracy at all.

    Args:
        run: a finished one.
        checked: its standing spot check, if any.
        known: on how many images of known answer it was measured, where that can still be told.
    """
    result, title = run.result, title_of(run.method)
    answered = sum(result.get("histogram") or [])
    measured = next(iter(measures(run)), None)
    if measured is not None:
        than = f"; {title_of(run.baseline.method)} had {measured.baseline:.1f}\u00a0%" if (
            run.baseline and measured.baseline is not None) else ""
        where = "where the answers are known" if known is None else f"on {known:,} images whose answers are known"
        return f"Measured {measured.own:.1f}\u00a0% right {where}{than}."
    if checked is not None and checked.measured is not None:
        return f"Measured {sentence(checked.measured)}."
    compared, found = score(run), result.get("classes_found")
    guessed = run.class_list_version_id is not None and not has_class_list(run)
    things = "groups with guessed names" if guessed else "classes"
    of = f"{found} of {result.get('num_classes')} {things}" if result.get("num_classes") else f"{found} {things}"
    start, dispute = f"{title} sorted {answered:,} images into {of}", objection(run)
    if (said := estimated(run)) and not dispute:
        before = estimated(run.baseline) if run.baseline is not None else None
        than = f"; {title_of(run.baseline.method)} {_percents(before)}" if before else ""
        how = "in the right group" if run.answers_in_groups else "right"
        return f"{start}. Estimated {_percents(said)} {how}{than}."
    if compared.own is None:
        return f"{start}."
    if compared.baseline is None or run.baseline is None:
        return f"{start}; label-free score {compared.own:.1f}."
    if dispute:
        return f"{start}. {dispute.advice}."
    baseline = title_of(run.baseline.method)
    return f"{start}; label-free score {compared.own:.1f}, {baseline} {compared.baseline:.1f}."


def estimated(run: Run) -> Estimate | None:
    """Return the estimated accuracy; None where none is good enough to be shown."""
    return trust.estimated(_signs(run), _signs_of_baseline(run))


def objection(run: Run, checked: Outcome | None = None) -> Objection | None:
    """Return why the run should not replace its baseline, or None.

    Args:
        run: a finished one.
        checked: its standing spot check, if any: where that shows which has more right, no sign is asked.
    """
    return trust.objection(_signs(run), _signs_of_baseline(run), None if checked is None else checked.difference)


def _signs(run: Run) -> Signs:
    """Return what a finished run shows without labels."""
    return Signs(
        method=run.method, settings=run.settings, histogram=run.result.get("histogram") or (),
        label_free_score=run.result.get("label_free_score"), signals=run.result.get("signals") or {},
        begun_with=run.start_from_id is not None, labelled=bool(run.result.get("taught")),
        replayed=run.replay_id is not None,
        counted=run.num_classes is not None or run.class_list_version_id is not None)


def _signs_of_baseline(run: Run) -> Signs | None:
    """Return what its baseline shows; of the very images that the run answered, where the worker looked."""
    if run.baseline is None:
        return None
    beside = (run.result.get("baseline") or {}).get("histogram")
    return replace(_signs(run.baseline), histogram=beside) if beside else _signs(run.baseline)


def suggested_names(run: Run) -> list[tuple[str, list[str]]]:
    """Return each cluster's present name and the names its pictures suggest."""
    suggestions = run.result.get("suggested_names") or []
    return [(name, list(words)) for name, words in zip(class_names(run), suggestions, strict=False) if words]


def pictures(run: Run) -> list[Picture]:
    """Return what stands beside each picture that the method drew, its rows by the names that its classes have now."""
    names = dict(zip(run.result.get("class_names") or [], class_names(run)))
    return [Picture(name=one["name"], title=one["title"], caption=one["caption"], columns=one["columns"],
                    rows=[names.get(row, row) for row in one["rows"]]) for one in run.result.get("pictures") or []]


def _percents(said: Estimate) -> str:
    return f"{100 * said.low:.0f}–{100 * said.high:.0f}\u00a0%"


def _points(share: float | None) -> float | None:
    return None if share is None else 100 * share
