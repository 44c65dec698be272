"""The few labels that a person would have given a target, and how right answers are beside them."""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.targets import LABELS_PER_CLASS, Target
from core.randomness import seeded


def drawn(target: Target, seed: int) -> dict[int, int]:
    """Return `LABELS_PER_CLASS` labels of each class, at random: image index -> class index."""
    order = torch.randperm(len(target.truth), generator=seeded(seed, "labels")).numpy()
    return {int(image): label for label in range(len(target.class_names))
            for image in order[target.truth[order] == label][:LABELS_PER_CLASS]}


def answers_to_the_rest(probabilities: np.ndarray, target: Target, seed: int) -> dict[str, float]:
    """Return the accuracy of answers (N, K) over the images that nobody labelled."""
    rest = np.setdiff1d(np.arange(len(target.truth)), list(drawn(target, seed)))
    return {"accuracy": float((probabilities.argmax(1) == target.truth)[rest].mean())}
