"""How well inferred labels match true ones: measured, so a truth is needed.

Shapes: N images, C clusters (or predicted classes), K true classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score, normalized_mutual_info_score

from core.evaluation.matching import best_match

Labels = NDArray[np.integer] | Sequence[int]


def accuracy(labels: Labels, truth: Labels) -> float:
    """Return the share of images whose label is the true one."""
    labels, truth = _checked(labels, truth)
    return float((labels == truth).mean())


def mean_per_class(labels: Labels, truth: Labels) -> float:
    """Return the mean over the classes present in `truth` of the share labelled right."""
    labels, truth = _checked(labels, truth)
    return float(np.mean([(labels[truth == one] == one).mean() for one in np.unique(truth)]))


def assign(labels: Labels, truth: Labels) -> NDArray[np.int64]:
    """Return `labels` (N,) with each cluster renamed to its true class by the best one-to-one match.

    The match (Hungarian algorithm) names as many images right as any one-to-one match can.
    Where there are more clusters than classes, the ones left over become -1, which is no class.
    """
    labels, truth = _checked(labels, truth)
    found, cluster = np.unique(labels, return_inverse=True)
    classes = np.unique(truth)
    rows, columns = best_match(together(labels, truth))
    name = np.full(len(found), -1, dtype=np.int64)
    name[rows] = classes[columns]
    return name[cluster]


def hungarian_accuracy(labels: Labels, truth: Labels) -> float:
    """Return the accuracy under the best one-to-one match of clusters to classes."""
    return accuracy(assign(labels, truth), truth)


def nmi(labels: Labels, truth: Labels) -> float:
    """Return the mutual information over the geometric mean of both entropies, 0 … 1."""
    labels, truth = _checked(labels, truth)
    return float(normalized_mutual_info_score(truth, labels, average_method="geometric"))


def ami(labels: Labels, truth: Labels) -> float:
    """Return the mutual information adjusted for chance: 0 for random labels, 1 for a match."""
    labels, truth = _checked(labels, truth)
    return float(adjusted_mutual_info_score(truth, labels))


def ari(labels: Labels, truth: Labels) -> float:
    """Return the Rand index adjusted for chance: 0 for random labels, 1 for a match."""
    labels, truth = _checked(labels, truth)
    return float(adjusted_rand_score(truth, labels))


def together(labels: Labels, truth: Labels) -> NDArray[np.int64]:
    """Return how many images each label shares with each true class, (C, K), both in sorted order."""
    labels, truth = _checked(labels, truth)
    found, cluster = np.unique(labels, return_inverse=True)
    classes, position = np.unique(truth, return_inverse=True)
    counts = np.zeros((len(found), len(classes)), dtype=np.int64)
    np.add.at(counts, (cluster, position), 1)
    return counts


def bcubed_precision(labels: Labels, truth: Labels) -> float:
    """Return the mean over images of the share of their cluster that has their true class, 0 … 1.

    Amigó et al., 2009, "A comparison of extrinsic clustering evaluation metrics", Information Retrieval 12(4).
    An image counts itself, so clusters of one image score 1: compare only equal numbers of clusters.
    """
    counts = together(labels, truth)  # each of the n_ck images of class k in cluster c has the share n_ck / n_c
    return float((counts**2 / counts.sum(axis=1, keepdims=True)).sum() / counts.sum())


def evaluate(labels: Labels, truth: Labels, class_names: Sequence[str] | None) -> dict[str, float]:
    """Return every measure of inferred labels against true ones.

    Args:
        labels: inferred class of each image (N,).
        truth: true class of each image (N,), in the same numbering where there are names.
        class_names: the names both share: "accuracy" and "mean_per_class" then compare label with
            label. None for clusters without names: "hungarian_accuracy" and "mean_per_class" are
            then taken after the best one-to-one match.
    """
    matched = labels if class_names else assign(labels, truth)
    return {
        "accuracy" if class_names else "hungarian_accuracy": accuracy(matched, truth),
        "mean_per_class": mean_per_class(matched, truth),
        "nmi": nmi(labels, truth),
        "ami": ami(labels, truth),
        "ari": ari(labels, truth),
    }


def _checked(labels: Labels, truth: Labels) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return both as arrays of the same, positive length."""
    first, second = np.asarray(labels, dtype=np.int64), np.asarray(truth, dtype=np.int64)
    if first.shape != second.shape or first.ndim != 1 or not len(first):
        raise ValueError(f"labels of shape {first.shape} cannot be compared with a truth of shape {second.shape}")
    return first, second
