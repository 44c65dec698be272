"""What a run's answers show without any label: the figures that estimates of its accuracy are made from.

Sources: mean confidence, Hendrycks and Gimpel, ICLR 2017 (arXiv:1610.02136); its quantiles, for thresholds
on it, Garg et al., ICLR 2022 (arXiv:2201.04234); nuclear norm, Deng et al., ICML 2023 (arXiv:2302.01094);
agreement of two models, Jiang et al., ICLR 2022 (arXiv:2106.13799), whose second model here is k-means, which knows
no names: where names mean little to a backbone, its sure answers still cut across the groups that it sees.

Shapes: N images, K classes, D features of all spaces together.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from core.evaluation.label_free import MAX_IMAGES
from core.evaluation.metrics import hungarian_accuracy
from core.threads import few_threads

QUANTILES = (10, 25, 50, 75, 90)
"""Percent; as "confidence_q10" …"""
STARTS = 5
SMALLEST_LENGTH = 1e-12


def signals(probabilities: NDArray[np.floating]) -> dict[str, float]:
    """Return the figures of answers (N, K), each 0 … 1 but the two counts.

    "mean_confidence", "mean_margin" and "confidence_q10" … describe how sure the answers are;
    "mean_entropy" (over log K) how unsure; "nuclear_norm" (over its largest possible value) how sure and
    how varied at once; "histogram_entropy" (over log K), "largest_share" and "classes_found" (share of K)
    how the images fall on the classes.
    """
    chances = np.asarray(probabilities, dtype=np.float64)
    count, classes = chances.shape
    ordered = np.sort(chances, axis=1)[:, ::-1]  # (N, K), the best answer first
    confidence = ordered[:, 0]
    shares = np.bincount(chances.argmax(1), minlength=classes) / count  # (K,)
    return {
        "images": float(count),
        "classes": float(classes),
        "mean_confidence": float(confidence.mean()),
        "mean_margin": float((confidence - ordered[:, 1]).mean()) if classes > 1 else 1.0,
        **{f"confidence_q{one}": float(np.percentile(confidence, one)) for one in QUANTILES},
        "mean_entropy": float(_entropy(chances).mean()),
        "nuclear_norm": float(np.linalg.norm(chances, "nuc") / np.sqrt(count * min(count, classes))),
        "histogram_entropy": float(_entropy(shares)),
        "largest_share": float(shares.max()),
        "classes_found": float((shares > 0).mean()),
    }


def agreement(labels: NDArray[np.integer], others: NDArray[np.integer], *, same_classes: bool) -> float:
    """Return the share of images (N,) that two runs answer alike.

    Args:
        labels: of one run.
        others: of the other.
        same_classes: whether both number the same classes; clusters are matched one to one first.
    """
    return float((labels == others).mean()) if same_classes else hungarian_accuracy(labels, others)


def group_agreement(spaces: Sequence[NDArray[np.floating]], labels: NDArray[np.integer], num_classes: int,
                    seed: int) -> float:
    """Return the share of images that are answered as groups without names have them, groups matched to classes.

    The groups are those of k-means, the best of 5 starts, in normalised frozen features; of more than 5,000 images, in
    a seeded sample of them.

    Args:
        spaces: features (N, D) of each space.
        labels: the answers (N,).
        num_classes: K; as many groups are made, and at most one an image.
        seed: fixes the sample and the starts.
    """
    generator = np.random.default_rng(seed)
    chosen = generator.choice(len(labels), min(MAX_IMAGES, len(labels)), replace=False)
    points = np.concatenate([_normalised(space[chosen]) for space in spaces], axis=1)
    with warnings.catch_warnings(), few_threads(points.size):
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct images than classes
        model = KMeans(min(num_classes, len(chosen)), n_init=STARTS, random_state=int(generator.integers(2**31)))
        groups = model.fit_predict(points)
    return hungarian_accuracy(groups, np.asarray(labels)[chosen])


def _normalised(features: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return features (N, D) of unit length."""
    rows = np.asarray(features, dtype=np.float32)
    lengths = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), SMALLEST_LENGTH)
    return np.asarray(rows / lengths, dtype=np.float32)


def _entropy(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the entropy of the last axis over its largest value, log K; 0 where there is one class."""
    classes = shares.shape[-1]
    if classes == 1:
        return np.zeros(shares.shape[:-1])
    logs = np.log(shares, where=shares > 0, out=np.zeros_like(shares))
    return np.asarray(-(shares * logs).sum(-1) / np.log(classes))
