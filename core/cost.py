"""About how long a run takes, from what its networks have to compute. No torch here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from core.catalog import BACKBONES
from core.question import Question
from core.settings import Value

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


@dataclass(frozen=True, kw_only=True)
class Cost:
    """About how long a run takes, in seconds."""

    cpu_seconds: float
    gpu_seconds: float

    def seconds(self, on_gpu: bool) -> float:
        """Return how long it takes on a GPU, or without one."""
        return self.gpu_seconds if on_gpu else self.cpu_seconds

    def in_words(self, on_gpu: bool | None) -> str:
        """Say it where there is a GPU (True), where there is none (False), or for both (None)."""
        if on_gpu is not None:
            return _duration(self.seconds(on_gpu))
        if self.cpu_seconds < 90:
            return _duration(self.cpu_seconds)
        return f"{_duration(self.cpu_seconds)} on two CPU cores, {_duration(self.gpu_seconds)} on a GPU"


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
    if seconds < 60:
        return "under a minute"
    if seconds < 90:
        return "about a minute"
    if seconds < 90 * 60:
        return f"about {math.ceil(seconds / 60)} minutes"
    if seconds < 48 * 3600:
        return f"about {math.ceil(seconds / 3600)} hours"
    return f"about {math.ceil(seconds / 86_400)} days"
