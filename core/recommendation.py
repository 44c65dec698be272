"""Which method to take for a collection and its question, why, and what it will cost. No torch here."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from core.catalog import BACKBONES, METHODS, Settings, learns_from_labels
from core.evaluation.guard import is_hardly_confirmed
from core.settings import Value

LABELS_PER_CLASS = 4
"""So many Semi-MAE was measured with (`docs/results.md`). Groups that so few labels name are right less often."""
FEW_IMAGES = 50
"""Below this a method sees too little of each class to learn from it."""
CPU_FLOPS = 1.6e11
"""What two ordinary cores get done in a second: the bundled starter adapts at about 110 images/s there."""
GPU_FLOPS = 1e13
"""A cautious figure for a data-centre GPU, reading images included."""

START_UP_SECONDS = 5.0
SWEEP_TRIALS, SWEEP_STEPS, SCORING_STEPS = 14, 300, 100
"""TURTLE's, as in `core.methods.turtle` and `core.methods.trials`, which know torch: a trial for each number of classes
that is tried, its steps, and how many more it takes to score one."""
EPOCHS = {"epochs": 1.0, "warming_epochs": 1.0, "preparing_epochs": 1.0, "pretraining_epochs": 0.25}
"""Settings that say how often a method sees the images, and how much of a view it computes: pretraining encodes no
hidden patch, and a quarter is left (measured: docs/decisions.md, 2026-11-30)."""


def fewest_labels(labels: Iterable[int], num_classes: int) -> int:
    """Return how many labels the class has that has the fewest; 0 without classes."""
    counts = Counter(labels)
    return min((counts[label] for label in range(num_classes)), default=0)


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked of a collection: names, or a number, or neither.

    Attributes:
        labelled: how many of the images a person confirmed or corrected, for these names.
        labels_per_class: how many of them the class has that has the fewest.
        confirmed: share of zero-shot's answers that groups without names confirm, 0 … 1; None before there are any.
    """

    num_images: int
    class_names: tuple[str, ...] = ()
    num_classes: int | None = None
    labelled: int = 0
    labels_per_class: int = 0
    confirmed: float | None = None

    @property
    def count(self) -> int | None:
        """Return K, or None for "don't know"."""
        return len(self.class_names) or self.num_classes


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """A method and one sentence of why."""

    method: str
    reason: str

    @property
    def title(self) -> str:
        """Return what the method is called."""
        return METHODS[self.method].title


@dataclass(frozen=True, kw_only=True)
class Cost:
    """About how long a run takes, in seconds."""

    cpu_seconds: float
    gpu_seconds: float

    def __str__(self) -> str:
        if self.cpu_seconds < 60:
            return "under a minute"
        if self.cpu_seconds < 90:
            return "about a minute"
        return f"about {_duration(self.cpu_seconds)} on two CPU cores, {_duration(self.gpu_seconds)} on a GPU"


def recommend_method(question: Question) -> Recommendation:
    """Choose the method a person most likely wants."""
    few = question.num_images < FEW_IMAGES
    if question.class_names and few:
        return Recommendation(method="zeroshot", reason=(
            f"With {question.num_images} images there is too little to learn from; reading your class names "
            "answers them at once."))
    if question.class_names and question.confirmed is not None and is_hardly_confirmed(
            question.confirmed, len(question.class_names)):
        if question.labels_per_class >= LABELS_PER_CLASS:
            return Recommendation(method="semimae", reason=(
                "Zero-shot's answers hardly fit the groups that your images form, but you labelled at least "
                f"{question.labels_per_class} images of every class: Semi-MAE learns from those, and from all others "
                "besides."))
        named = ("calls each what you labelled of it" if question.labelled else
                 "gives each the name that fits best; a few images that you label in review name them better")
        return Recommendation(method="turtle", reason=(
            "Zero-shot's answers hardly fit the groups that your images form, so there is little to learn from the "
            f"names. TURTLE finds the groups themselves, and {named}."))
    if question.class_names:
        return Recommendation(method="must", reason=(
            f"You gave {len(question.class_names)} class names and {question.num_images:,} images: it starts from "
            "the names, previews zero-shot answers in seconds, then learns from your own photographs."))
    if few and question.num_classes:
        return Recommendation(method="kmeans", reason=(
            f"With {question.num_images} images there is too little to learn from; k-means groups them at once."))
    if question.num_classes:
        return Recommendation(method="turtle", reason=(
            f"You gave no names but know there are {question.num_classes} classes: it finds the "
            "groups your photographs fall into."))
    return Recommendation(method="turtle", reason=(
        "You gave neither names nor a number: it tries several numbers of classes and suggests the likeliest."))


class Obstacle(NamedTuple):
    """Why a method cannot be asked a question.

    Attributes:
        reason, fix: a sentence each.
        lacking: "classes" or "labels".
    """

    reason: str
    fix: str
    lacking: str


def obstacle(method: str, question: Question, settings: Settings | None = None) -> Obstacle | None:
    """Return why `method` (with `settings`, else its defaults) cannot be asked this question, or None when it can."""
    needs = METHODS[method].needs
    if needs == "names" and not question.class_names:
        return Obstacle("It needs class names, and this collection has none.", "Give class names", "classes")
    if needs == "count" and question.count is None:
        return Obstacle("It needs to know how many classes there are.", "Give names or a number", "classes")
    chosen = settings or METHODS[method].settings()
    if not question.class_names and learns_from_labels(chosen) and not getattr(chosen, "oracle", False):
        return Obstacle("Labels name groups, or teach a classifier, only where there are class names.",
                        "Give class names", "classes")
    if learns_from_labels(chosen) and not question.labelled:
        return Obstacle("It learns from images that you confirmed or corrected in review, and there are none with "
                        "these class names yet. The review of a run takes them from a CSV too.",
                        "Review a run", "labels")
    return None


def cost(method: str, settings: Mapping[str, Value], question: Question, num_further: int = 0) -> Cost:
    """Estimate a run's duration from what the networks have to compute.

    An image costs about 2 x parameters x patches operations forward, a training view about four
    times that (student forward and backward, teacher forward). Images of further collections (`num_further`)
    are adapted to and not answered.
    """
    names = str(settings.get("spaces") or settings.get("backbone") or "starter-clip").split(",")
    forward = sum(_forward_operations(name.strip()) for name in names)
    operations = forward * question.num_images
    epochs = sum(share * float(settings.get(name) or 0) for name, share in EPOCHS.items())
    if settings.get("mode") == "replay":
        epochs *= 1 + float(settings.get("replay_share") or 0)
    operations += 4 * forward * epochs * (question.num_images + num_further)
    if "inner_steps" in settings:
        operations += _search_operations(settings, question, len(names))
    return Cost(cpu_seconds=START_UP_SECONDS + operations / CPU_FLOPS,
                gpu_seconds=START_UP_SECONDS + operations / GPU_FLOPS)


def _forward_operations(backbone: str) -> float:
    """Return the operations one image takes through a backbone; 0 for a name nobody knows."""
    if backbone not in BACKBONES:
        return 0.0
    known = BACKBONES[backbone]
    patch_px = 8 if known.image_size_px <= 64 else 16
    return 2 * known.parameters_millions * 1e6 * (known.image_size_px / patch_px) ** 2


def _search_operations(settings: Mapping[str, Value], question: Question, spaces: int) -> float:
    """Return the operations of TURTLE's inner and outer steps over all that it tries, as many as fit its seconds.

    The overhead an image was fitted to the seconds of `docs/results.md`: the classifiers are small.
    """
    steps, scoring = float(settings["steps"] or 0), SCORING_STEPS * spaces
    tried = int(settings.get("search_limit" if settings.get("search") else "starts") or 1)
    outer = tried * (steps + (scoring if tried > 1 else 0))
    if question.count is None:
        outer += SWEEP_TRIALS * (min(SWEEP_STEPS, steps) + scoring)
    sample, width, overhead = min(question.num_images, int(settings["sample_size"] or 0)), 512, 9e4
    each = sample * (6 * width * (question.count or 10) * spaces + overhead)
    return outer * (int(settings["inner_steps"] or 0) + 1) * each


def _duration(seconds: float) -> str:
    """Write a duration as a person says it."""
    if seconds < 90:
        return "a minute"
    if seconds < 90 * 60:
        return f"{math.ceil(seconds / 60)} minutes"
    return f"{math.ceil(seconds / 3600)} hours"
