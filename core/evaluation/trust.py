"""What may be said of answers: the estimated accuracy without labels, and why a run should not replace its baseline.

One rule for the shell and the page, which know runs by objects and by rows. No torch here: the web imports it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from core.baseline import BASELINES
from core.catalog import answers_in_groups, from_scratch, taught_by_labels
from core.evaluation import estimate, guard
from core.evaluation.estimate import Estimate
from core.evaluation.guard import Objection
from core.evaluation.paired import Difference


@dataclass(frozen=True, kw_only=True)
class Signs:
    """What a finished run shows without labels.

    Attributes:
        method: of the run; one that is no more in the catalogue is no baseline and reads no names.
        settings: of the run.
        histogram: images of each class (K,); () from before that was kept.
        label_free_score: 0 … 1; None from before that was kept.
        signals: what else its answers show, by name; see `core.evaluation.signals`.
        begun_with: whether it begins with the encoder of an earlier run.
        counted: whether somebody said how many classes there are, by a number or by names.
        labelled: whether it was given images that a person labelled.
        replayed: whether it was given a collection to replay.
    """

    method: str
    settings: Mapping[str, object]
    histogram: Sequence[int]
    label_free_score: float | None
    signals: Mapping[str, float] = field(default_factory=dict)
    begun_with: bool = False
    counted: bool = True
    labelled: bool = False
    replayed: bool = False


def estimated(run: Signs, baseline: Signs | None, even_poor: bool = False) -> Estimate | None:
    """Return a run's estimated accuracy, of groups after their best match with classes; see `estimate.of_result`.

    None where none is good enough to be shown: neither groups whose number nobody gave nor runs without a foundation
    model's weights are among those that estimates were calibrated on.
    """
    published = run.counted and not from_scratch(run.settings)
    backbone = run.settings.get("backbone") or run.settings.get("spaces") if published else ""
    return estimate.of_result(_kind(run), run.method, backbone, {
        **run.signals, "label_free_score": run.label_free_score,
        "baseline_group_agreement": _confirmed(run, baseline)}, run.begun_with, even_poor)


def _kind(run: Signs) -> str:
    """Return which of `estimate.ESTIMATORS` a run's answers are."""
    if taught_by_labels(run.method, run.settings):
        return "labels"
    return "groups" if answers_in_groups(run.method, run.settings) else "names"


def objection(run: Signs, baseline: Signs | None, measured: Difference | None = None) -> Objection | None:
    """Return why a run should not replace its baseline; None where it may, or has none. See `core.evaluation.guard`.

    Args:
        run: what it shows.
        baseline: what that shows, if there is one.
        measured: how much more the run has right on a random sample; where that is decided, no sign is asked.
    """
    if baseline is None or (measured is not None and measured.is_gain):
        return None
    if measured is not None and measured.is_loss:
        return guard.measured_loss(measured)
    taught = run.labelled and taught_by_labels(run.method, run.settings)
    ours, theirs = (one.signals.get("second_opinion") for one in (run, baseline))
    found = guard.objection(
        run.histogram, baseline.histogram,
        baseline.signals.get("group_agreement") if baseline.method == "zeroshot" else None,  # k-means reads no names
        taught=taught, opinions=None if ours is None or theirs is None else (ours, theirs),
        label_evenness=run.signals.get("label_evenness"))
    if found is None and taught:
        return _outdone(run, baseline)
    return found or (guard.WITHOUT_REPLAY if run.method == "finetune" and not run.replayed else None)


def _outdone(run: Signs, baseline: Signs) -> Objection | None:
    """Return the objection to answers learnt from labels where more is estimated of the baseline's."""
    ours, theirs = estimated(run, baseline, even_poor=True), estimated(baseline, None, even_poor=True)
    return guard.outdone() if ours is not None and theirs is not None and ours.accuracy < theirs.accuracy else None


def _confirmed(run: Signs, baseline: Signs | None) -> float | None:
    """Return how far groups that know no names confirm a run's baseline, or the run where it is one itself."""
    first = run if run.method in BASELINES else baseline
    return None if first is None else first.signals.get("group_agreement")
