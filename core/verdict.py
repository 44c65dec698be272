"""What may be said of a run's answers without labels: how far the baseline agrees, whether the guard objects, and the
estimated accuracy where estimates have been shown to hold. In the shell as in the browser.

Shapes: N images.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from core.catalog import METHODS, Settings
from core.classifier import Predictions
from core.evaluation import trust
from core.evaluation.estimate import Estimate
from core.evaluation.result import Result
from core.evaluation.signals import agreement
from core.evaluation.trust import Signs
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
    run = _signs(method, asdict(settings), problem, result)
    before = None if first is None else Signs(
        method=first.method, settings=asdict(first.settings), histogram=first.result.histogram,
        label_free_score=first.result.label_free_score, signals=first.result.signals)
    return Verdict(baseline=None if first is None else _beside(method, predictions, first),
                   objection=str(trust.objection(run, before) or ""), estimated=trust.estimated(run, before))


def _signs(method: str, settings: Mapping[str, object], problem: Problem, result: Result) -> Signs:
    """Return what the run shows without labels."""
    return Signs(
        method=method, settings=settings, histogram=result.histogram, label_free_score=result.label_free_score,
        signals=result.signals, begun_with=problem.start is not None, counted=problem.count is not None,
        labelled=bool(problem.labelled), replayed=problem.replay is not None)


def _beside(method: str, predictions: Predictions, first: Baseline) -> dict[str, Any]:
    """Return how the baseline stands beside the run; clusters are matched to classes where they share no names."""
    return {"method": first.method, "label_free_score": first.result.label_free_score,
            "histogram": first.result.histogram, "group_agreement": first.result.signals["group_agreement"],
            "second_opinion": first.result.signals.get("second_opinion"),
            "agreement": agreement(predictions.labels.numpy(), first.predictions.labels.numpy(),
                                   same_classes=METHODS[method].needs == "names")}
