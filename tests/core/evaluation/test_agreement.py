"""Answers beside the truth: what is taken for what, and calibration by hand."""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import DataError
from core.evaluation.agreement import agreement, calibration, confusion, expected_calibration_error, reliability
from core.evaluation.evidence import Answers, Evidence


def evidence(answers: str, truth: str, confidence: list[float] | None = None, *, has_folder: bool = False) -> Evidence:
    """Labels of one letter each."""
    sure = None if confidence is None else np.array(confidence)
    return Evidence(run=None, paths=tuple(map(str, range(len(truth)))), true_names=tuple(truth),
                    given=Answers(names=tuple(answers), confidence=sure), has_folder=has_folder)


def test_calibration_error_by_hand() -> None:
    # Two of three right at 0.9, one of two at 0.5: 3/5 * |2/3 - 0.9| + 2/5 * |1/2 - 0.5|.
    confidence, right = np.array([0.9, 0.9, 0.9, 0.5, 0.5]), np.array([True, True, False, True, False])
    assert expected_calibration_error(confidence, right) == pytest.approx(0.6 * (0.9 - 2 / 3))
    assert [row[1] for row in reliability(confidence, right)] == [2, 3]


def test_certainty_that_is_right_is_calibrated_and_certainty_that_is_wrong_is_not() -> None:
    certain = np.ones(4)
    assert expected_calibration_error(certain, np.ones(4, dtype=bool)) == 0.0
    assert expected_calibration_error(certain, np.zeros(4, dtype=bool)) == 1.0
    assert expected_calibration_error(np.zeros(4), np.zeros(4, dtype=bool)) == 0.0


def test_calibration_compares_confidence_with_being_right() -> None:
    found = calibration(evidence("aabb", "aaab", [1.0, 1.0, 0.6, 1.0])).figures
    assert found["accuracy"] == 0.75
    assert found["brier_score"] == pytest.approx(0.36 / 4)
    assert found["expected_calibration_error"] == pytest.approx(0.6 / 4)
    with pytest.raises(DataError, match="no column confidence"):
        calibration(evidence("ab", "ab"))


def test_confusion_counts_true_classes_in_rows() -> None:
    found = confusion(evidence("abbax", "aabbb", has_folder=True))
    assert found.table == [["true \\ answered", "a", "b", "(no class)"], ["a", 1, 1, 0], ["b", 1, 1, 1]]
    assert found.figures["accuracy"] == pytest.approx(0.4)
    assert found.notes == ("most often confused: a taken for b, 1 of 2 images",)
    assert found.picture is not None
    assert found.picture.size == (3 * 24, 2 * 24)
    assert confusion(evidence("abbax", "aabbb")).picture is None  # nowhere to put it


def test_clusters_are_matched_before_they_are_counted() -> None:
    found = confusion(evidence("xxyyy", "aabbb"))
    assert [row[1:] for row in found.table[1:]] == [[2, 0], [0, 3]]
    assert found.notes == ("no image is confused",)
    assert agreement(evidence("xxyyy", "aabbb")).figures["hungarian_accuracy"] == 1.0
    assert agreement(evidence("aabba", "aabbb")).figures["accuracy"] == 0.8


def test_there_are_fifteen_bins_that_hold_their_upper_end_and_not_their_lower() -> None:
    confidence, right = np.array([0.6, 0.61, 0.65, 0.67]), np.array([True, False, True, True])
    assert [row[:3] for row in reliability(confidence, right)] == [
        (pytest.approx(9 / 15), 1, 1.0), (pytest.approx(10 / 15), 2, 0.5), (pytest.approx(11 / 15), 1, 1.0)]
