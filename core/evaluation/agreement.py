"""Answers beside the truth: agreement, what is taken for what, and whether confidence can be believed.

Calibration: Guo et al., 2017, "On calibration of modern neural networks", arXiv:1706.04599, with 15 equal
bins; Brier, 1950, of the answer that was given (right or wrong), for labels.csv keeps no other.

Shapes: N images, K classes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix

from core.errors import DataError
from core.evaluation import metrics
from core.evaluation.drawing import grid_of_shares
from core.evaluation.evidence import Evidence, Finding

BINS = 15
OTHER = "(no class)"


def agreement(evidence: Evidence) -> Finding:
    """Measure how well answers match the truth: by name, or where they share none, after the best match."""
    names = evidence.class_names if evidence.named else None
    found = metrics.evaluate(evidence.labels, evidence.truth, names)
    return Finding(figures={**found, "bcubed_precision": metrics.bcubed_precision(evidence.labels, evidence.truth)})


def confusion(evidence: Evidence) -> Finding:
    """Count which true class was answered as which; clusters after the best match."""
    names = [*evidence.class_names, *([OTHER] if (evidence.matched < 0).any() else [])]
    answered = np.where(evidence.matched < 0, len(evidence.class_names), evidence.matched)
    counts = confusion_matrix(evidence.truth, answered, labels=range(len(names)))[: len(evidence.class_names)]
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    true, taken = np.unravel_index(wrong.argmax(), wrong.shape)
    worst = (f"most often confused: {names[true]} taken for {names[taken]}, {wrong[true, taken]} of "
             f"{counts[true].sum()} images") if wrong.any() else "no image is confused"
    return Finding(figures={"accuracy": float(np.diag(counts).sum() / counts.sum())},
                   table=[["true \\ answered", *names],
                          *([name, *row] for name, row in zip(evidence.class_names, counts.tolist(), strict=True))],
                   picture=grid_of_shares(counts / counts.sum(axis=1, keepdims=True)) if evidence.has_folder else None,
                   notes=(worst,))


def expected_calibration_error(confidence: NDArray[np.floating], right: NDArray[np.bool_]) -> float:
    """Return the mean over images of |accuracy - confidence| of their bin, 0 … 1 (Guo et al., Eq. 3)."""
    return float(sum(row[1] * abs(row[2] - row[3]) for row in reliability(confidence, right)) / len(right))


def reliability(confidence: NDArray[np.floating], right: NDArray[np.bool_]) -> list[tuple[float, int, float, float]]:
    """Return (upper end, images, accuracy, mean confidence) of each bin that has images; bins are (lower, upper]."""
    place = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    return [((one + 1) / BINS, int((place == one).sum()), float(right[place == one].mean()),
             float(confidence[place == one].mean())) for one in np.unique(place)]


def calibration(evidence: Evidence) -> Finding:
    """Measure whether an answer of confidence 0.8 is right eight times of ten.

    Raises:
        DataError: for labels without confidence.
    """
    if evidence.answers.confidence is None:
        raise DataError("labels", "have no column confidence for every image; adapt and predict write one")
    confidence, right = evidence.answers.confidence, evidence.matched == evidence.truth
    figures = {"expected_calibration_error": expected_calibration_error(confidence, right),
               "brier_score": float(np.square(confidence - right).mean()),
               "mean_confidence": float(confidence.mean()), "accuracy": float(right.mean())}
    return Finding(figures=figures, table=[["confidence up to", "images", "accuracy", "mean confidence"],
                                           *reliability(confidence, right)])
