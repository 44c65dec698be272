"""What may be said of a run's answers without labels: how far the baseline agrees, whether the guard objects, and the
estimated accuracy where estimates have been shown to hold. In the shell as in the browser.

Shapes: N images.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from core.baseline import BASELINES
from core.catalog import METHODS, Settings, taught_by_labels
from core.classifier import Predictions
from core.evaluation import estimate, guard
from core.evaluation.estimate import Estimate
from core.evaluation.result import Result
from core.evaluation.signals import agreement
from core.first_answers import Baseline
from core.problem import Problem


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is said beside a run's own figures.

    Attributes:
        baseline: how the baseline compares, for `Result.baseline`; None where there is none.
        objection: why the run should not replace its baseline, or "".
        estimated: accuracy, of groups after their best match with classes; None where none is good enough to be shown.
    """

    baseline: Mapping[str, object] | None
    objection: str
    estimated: Estimate | None

    def headline(self) -> dict[str, object]:
        """Return the figures that a person reads first."""
        said: dict[str, object] = {}
        if self.baseline is not None:
            said |= {"baseline": self.baseline["method"], "agreement_with_baseline": self.baseline["agreement"]}
        if self.estimated is not None:
            said["estimated_accuracy"] = asdict(self.estimated)
        if self.objection:
            said["objection"] = self.objection
        return said

    def to_json(self) -> dict[str, object]:
        """Return what ``result.json`` says beside `Result`."""
        return {"objection": self.objection, "estimated": None if self.estimated is None else asdict(self.estimated)}


def verdict(method: str, settings: Settings, problem: Problem, result: Result, predictions: Predictions,
            first: Baseline | None) -> Verdict:
    """Return what may be said of a run.

    Args:
        method: of the run.
        settings: of the run.
        problem: that it solved.
        result: its figures.
        predictions: its answers (N, K).
        first: the baseline's answers to the same images, if any.
    """
    confirming = result if method in BASELINES else first.result if first is not None else None
    confirmed = None if confirming is None else confirming.signals.get("group_agreement")
    beside = None if first is None else _beside(method, predictions, first)
    chosen = asdict(settings)
    estimated = estimate.of_result(
        "names" if METHODS[method].needs == "names" else "groups",
        "" if problem.start is not None or problem.count is None else chosen.get("backbone") or chosen.get("spaces"),
        {**result.signals, "label_free_score": result.label_free_score, "baseline_group_agreement": confirmed})
    return Verdict(baseline=beside,
                   objection=_objection(result, first, confirmed,
                                        taught=taught_by_labels(method, chosen) and bool(problem.labelled)),
                   estimated=estimated)


def _beside(method: str, predictions: Predictions, first: Baseline) -> dict[str, Any]:
    """Return how the baseline stands beside the run; clusters are matched to classes where they share no names."""
    return {"method": first.method, "label_free_score": first.result.label_free_score,
            "histogram": first.result.histogram, "group_agreement": first.result.signals["group_agreement"],
            "second_opinion": first.result.signals.get("second_opinion"),
            "agreement": agreement(predictions.labels.numpy(), first.predictions.labels.numpy(),
                                   same_classes=METHODS[method].needs == "names")}


def _objection(result: Result, first: Baseline | None, confirmed: float | None, *, taught: bool) -> str:
    """Return why the run should not replace its baseline, or ""; see `core.evaluation.guard`."""
    if first is None:
        return ""
    run, before = (one.signals.get("second_opinion") for one in (result, first.result))
    opinions = None if run is None or before is None else (run, before)
    return str(guard.objection(result.histogram, first.result.histogram, confirmed, taught, opinions) or "")
