"""The answers of a baseline to the images of a run that it stands beside.

Shapes: N images.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from torch import Tensor

from core.card import judges_of
from core.catalog import METHODS, Settings
from core.classifier import Predictions
from core.data.images import ImageSet
from core.evaluation.result import Result, summarise
from core.evaluation.second_opinion import second_opinion
from core.methods.resolve import resolve
from core.problem import Problem
from core.run import Run


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A baseline's answers to every image.

    Attributes:
        method: a key of `core.catalog.METHODS`.
        settings: it was given.
        class_names: of its answers, in order.
        predictions: (N, K).
        result: its figures.
    """

    method: str
    settings: Settings
    class_names: tuple[str, ...]
    predictions: Predictions
    result: Result


def answer_first(method: str, settings: Settings, problem: Problem, images: ImageSet, read: Callable[[str], Tensor],
                 run: Run) -> Baseline:
    """Return the answers of a baseline, which sees nothing of the problem but its images and its question.

    Args:
        method: one of `core.baseline.BASELINES`.
        settings: of the baseline.
        problem: of the run it stands beside.
        images: those to answer (N), held out or not.
        read: returns the frozen features (N, D) of a foundation model by name.
        run: told of progress; may raise.
    """
    began = time.monotonic()
    alone = Problem(images=problem.images, class_names=problem.class_names, num_classes=problem.num_classes)
    classifier = resolve(METHODS[method].function)(settings, alone, run)
    predictions = classifier.predict(images, run)
    spaces = [read(name) for name in judges_of(asdict(settings))]
    opinion = second_opinion(method, asdict(settings), images, predictions.labels.numpy(), run)
    result = summarise(classifier, predictions, spaces, seed=run.seed, seconds=time.monotonic() - began,
                       opinion=opinion)
    return Baseline(method=method, settings=settings, class_names=classifier.class_names, predictions=predictions,
                    result=result)
