"""TURTLE's trials: a search for a labeling with some settings, watched, scored and saved as it goes.

Shapes: N images, K classes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.catalog import TurtleSettings
from core.errors import Diverged
from core.evaluation.label_free import FOLDS, label_free_score
from core.evaluation.second_opinion import Judge
from core.methods.identity import identity, kept_state
from core.methods.spaces import Space
from core.problem import Problem
from core.run import Progress, Run
from core.training.bilevel import LabelingSearch
from core.training.loop import SECONDS_BETWEEN_CHECKPOINTS

SAVES = 20
"""Checkpoints of one trial: a run that is killed repeats at most a twentieth of it, and never more than minutes."""
REPORT_SECONDS = 0.5
FOLD_STEPS = 10
"""Steps of the run that a fold of the score counts for: it takes about as long as so many outer steps."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What is tried: K, outer steps, the settings that the search may vary, and which of the starts it is."""

    num_classes: int
    steps: int
    outer_learning_rate: float
    inner_learning_rate: float
    warm_start: bool
    start: int = 0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a trial found.

    Attributes:
        trial: what was tried.
        classes_found: classes with at least one image, K at most.
        largest_share: share of the images in the largest class.
        score: label-free score, None where it was not asked for.
        judge: the encoder on whose features the score is; "" for the trial's own.
    """

    trial: Trial
    classes_found: int
    largest_share: float
    score: float | None
    judge: str = ""

    def record(self) -> dict[str, Any]:
        """Return it as one flat JSON object."""
        return {**asdict(self.trial), "classes_found": self.classes_found, "largest_share": self.largest_share,
                "score": self.score, "judge": self.judge}

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Outcome:
        """Read what `record` returned."""
        theirs = {name: value for name, value in record.items() if name in Trial.__dataclass_fields__}
        ours = {name: value for name, value in record.items() if name not in theirs}
        return cls(trial=Trial(**theirs), **ours)  # older ones name neither the start nor a judge


class Trials:
    """Runs trials one after another; those that a checkpoint holds are taken from it.

    Attributes:
        step: the run's step reached.
    """

    def __init__(self, spaces: Sequence[Space], settings: TurtleSettings, problem: Problem, run: Run, step: int,
                 total: int) -> None:
        """Read the checkpoint, if there is one.

        Args:
            spaces: with the features to label.
            settings: what the trials have in common.
            problem: with `settings`, says whose checkpoint it must be.
            run: reported to, and saved to.
            step: the run's step at which the first trial begins.
            total: the run's steps in all.
        """
        self.features = [space.features for space in spaces]
        self.settings, self.run, self.step, self.total = settings, run, step, total
        self._identity = identity(settings, problem, run.seed)
        self._kept = kept_state(run, self._identity) or {"outcomes": []}
        self._outcomes: list[Outcome] = []
        self._encoders: list[Tensor] = []

    def run_trial(self, trial: Trial, stage: str, scored: bool, judge: Judge | None = None) -> Outcome:
        """Do one trial, or take it from the checkpoint, and return what it found.

        Args:
            trial: what to try.
            stage: what the run is told meanwhile.
            scored: whether it is to be compared with others.
            judge: by whom; None: by its own spaces.
        """
        index, kept = len(self._outcomes), self._kept["outcomes"]
        if index < len(kept) and kept[index].get("judge", "") == (judge.name if judge else ""):
            self._outcomes.append(Outcome.from_record(kept[index]))
            self._encoders.append(self._kept[f"encoder.{index}"])
        else:
            search = self._search(trial, index)
            labels = self._find(search, trial, stage)
            self._outcomes.append(self._outcome(trial, labels, stage, scored, judge))
            self._encoders.append(search.task.parameters.detach())
            self._save(None)
        self.step += steps_of(trial, scored, 1 if judge else len(self.features))
        return self._outcomes[-1]

    def result(self, outcome: Outcome) -> LabelingSearch:
        """Return the search as it ended in `outcome`, for its task encoder and its labeling."""
        search = self._new(outcome.trial)
        with torch.no_grad():
            search.task.parameters.copy_(self._encoders[self._place(outcome)])
        return search

    def records(self) -> list[dict[str, Any]]:
        """Return every outcome so far as JSON objects."""
        return [outcome.record() for outcome in self._outcomes]

    def _place(self, outcome: Outcome) -> int:
        """Return which trial it was; two may have found the same, so the very object is looked for."""
        return next(index for index, one in enumerate(self._outcomes) if one is outcome)

    def _new(self, trial: Trial) -> LabelingSearch:
        settings = self.settings
        return LabelingSearch(
            self.features, trial.num_classes, inner_steps=settings.inner_steps, sample_size=settings.sample_size,
            outer_learning_rate=trial.outer_learning_rate, inner_learning_rate=trial.inner_learning_rate,
            warm_start=trial.warm_start, entropy_weight=settings.entropy_weight,
            seed=self.run.generator(f"turtle, start {trial.start}" if trial.start else "turtle").initial_seed())

    def _search(self, trial: Trial, index: int) -> LabelingSearch:
        """Return a new search, or the one that the checkpoint was saved in the middle of."""
        search = self._new(trial)
        if self._kept.get("current") == index:
            state = {name.removeprefix("search."): value for name, value in self._kept.items()
                     if name.startswith("search.")}
            search.restore(state)
        return search

    def _find(self, search: LabelingSearch, trial: Trial, stage: str) -> Tensor:
        """Do the outer steps and return the labels (N,)."""
        interval = math.ceil(trial.steps / SAVES)
        last_report = last_save = time.monotonic()
        while search.done < trial.steps:
            terms = search.step()
            if not math.isfinite(terms["loss"]):
                raise Diverged("loss", terms["loss"], search.done, stage)
            at_interval = (search.done % interval == 0 or search.done == trial.steps or self.run.checkpoints.is_wanted
                           or time.monotonic() - last_save >= SECONDS_BETWEEN_CHECKPOINTS)
            if at_interval:
                self._save(search)
                last_save = time.monotonic()
            if at_interval or time.monotonic() - last_report > REPORT_SECONDS:
                last_report = time.monotonic()
                self._report(stage, search.done, terms, search.probabilities())
        return search.probabilities().argmax(dim=1)

    def _outcome(self, trial: Trial, labels: Tensor, stage: str, scored: bool, judge: Judge | None) -> Outcome:
        """Count the classes found and, where asked, score the labels."""
        histogram = _histogram(labels, trial.num_classes)
        score = self._score(trial, labels.cpu().numpy(), stage, judge) if scored else None
        return Outcome(trial=trial, classes_found=sum(count > 0 for count in histogram),
                       largest_share=max(histogram) / len(labels), score=score, judge=judge.name if judge else "")

    def _score(self, trial: Trial, labels: NDArray[np.integer], stage: str, judge: Judge | None) -> float:
        """Return how well the labels can be repeated from the judge's features, or the trial's own."""
        def on_fold(fold: int) -> None:
            self._report(f"{stage}: scoring", trial.steps + fold * FOLD_STEPS)

        if judge:
            return judge.score(labels, on_fold)
        return label_free_score([features.cpu().numpy() for features in self.features], labels, self.run.seed, on_fold)

    def _report(self, stage: str, done: int, terms: dict[str, float] | None = None,
                probabilities: Tensor | None = None) -> None:
        """Tell the run, with the class histogram where there is one."""
        histogram: tuple[int, ...] = ()
        if probabilities is not None:
            histogram = _histogram(probabilities.argmax(dim=1), probabilities.shape[1])
        self.run.report(Progress(stage=stage, step=self.step + done, total=self.total, terms=terms or {},
                                 histogram=histogram))

    def _save(self, current: LabelingSearch | None) -> None:
        """Save the outcomes and, in the middle of a trial, its search."""
        state: dict[str, object] = {"identity": self._identity, "outcomes": self.records()}
        state |= {f"encoder.{index}": encoder for index, encoder in enumerate(self._encoders)}
        if current is not None:
            state |= {"current": len(self._outcomes)}
            state |= {f"search.{name}": value for name, value in current.state().items()}
        self.run.checkpoints.save(state, step=self.step + (current.done if current else 0))


def _histogram(labels: Tensor, num_classes: int) -> tuple[int, ...]:
    return tuple(torch.bincount(labels, minlength=num_classes).tolist())


def steps_of(trial: Trial, scored: bool, num_spaces: int) -> int:
    """Return the run's steps that a trial takes, its score on so many spaces included."""
    return trial.steps + (FOLDS * num_spaces * FOLD_STEPS if scored else 0)
