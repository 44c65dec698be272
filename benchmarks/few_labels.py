"""The few labels that a person would have given a target."""

from __future__ import annotations

import torch

from benchmarks.targets import LABELS_PER_CLASS, Target
from core.randomness import seeded


def drawn(target: Target, seed: int) -> dict[int, int]:
    """Return `LABELS_PER_CLASS` labels of each class, at random: image index -> class index."""
    order = torch.randperm(len(target.truth), generator=seeded(seed, "labels")).numpy()
    return {int(image): label for label in range(len(target.class_names))
            for image in order[target.truth[order] == label][:LABELS_PER_CLASS]}
