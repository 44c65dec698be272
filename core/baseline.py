"""The cheap first answer that a run is compared with: zero-shot where there are names, k-means where only a number is.

Shapes: N images.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields

from torch import Tensor

from core.card import judges_of
from core.catalog import METHODS, TEXT_BACKBONES, Settings, parse
from core.classifier import Predictions
from core.data.images import ImageSet
from core.evaluation.result import Result, summarise
from core.methods.resolve import resolve
from core.problem import Problem
from core.run import Run

BASELINES = ("zeroshot", "kmeans")
"""With names and without."""
SHARED = ("backbone", "spaces", "templates", "own_templates")
"""Settings that a baseline has from the run it is compared with."""


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A baseline's answers to every image.

    Attributes:
        method: a key of `core.catalog.METHODS`.
        class_names: of its answers, in order.
        predictions: (N, K).
        result: its figures.
    """

    method: str
    class_names: tuple[str, ...]
    predictions: Predictions
    result: Result


def baseline_of(method: str, settings: Settings, count: int | None) -> tuple[str, Settings] | None:
    """Return the baseline of a run and its settings; None for a baseline itself, and where no number is known.

    Args:
        method: of the run.
        settings: of the run; an encoder without words is compared with the bundled one that reads names.
        count: how many classes, K.
    """
    if method in BASELINES or count is None:
        return None
    names = METHODS[method].needs == "names"
    kind, given = ("zeroshot" if names else "kmeans"), asdict(settings)
    known = {one.name for one in fields(METHODS[kind].settings)}
    shared = {name: value for name, value in given.items() if name in SHARED and name in known}
    if names and shared.get("backbone") not in TEXT_BACKBONES:
        shared.pop("backbone", None)
    if not names and "backbone" in given:
        shared["spaces"] = given["backbone"]  # one encoder is a space too
    return kind, parse(kind, shared)


def answer_first(method: str, settings: Settings, problem: Problem, images: ImageSet, read: Callable[[str], Tensor],
                 run: Run) -> Baseline:
    """Return the answers of a baseline, which sees nothing of the problem but its images and its question.

    Args:
        method: one of `BASELINES`.
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
    result = summarise(classifier, predictions, spaces, seed=run.seed, seconds=time.monotonic() - began)
    return Baseline(method=method, class_names=classifier.class_names, predictions=predictions, result=result)
