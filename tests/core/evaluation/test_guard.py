from __future__ import annotations

import math

import pytest

from core.evaluation.guard import evenness, objection


def test_evenness_is_entropy_over_its_largest_value() -> None:
    assert evenness([5, 5, 5]) == pytest.approx(1.0)
    assert evenness([9, 0, 0]) == evenness([]) == evenness([4]) == 0.0
    assert evenness([1, 1, 0, 0]) == pytest.approx(math.log(2) / math.log(4))


def test_a_run_that_lost_a_class_is_objected_to_whatever_its_evenness() -> None:
    assert objection([30, 30, 0], [58, 1, 1]) == "it answers 2 of 3 classes, the baseline 3"


def test_a_run_that_crowds_its_images_is_objected_to() -> None:
    assert "1,040 in the largest" in objection([1040, 30, 30], [400, 400, 300])
    assert objection([400, 400, 300], [1040, 30, 30]) == ""


def test_a_run_as_even_as_its_baseline_is_not() -> None:
    assert objection([33, 30, 27], [30, 33, 27]) == ""
    assert objection([2, 58, 0], [0, 58, 2]) == ""
    assert objection([], [1, 2]) == objection([1, 2], []) == ""


def test_a_run_whose_baseline_no_groups_confirm_is_objected_to() -> None:
    """Of ten classes chance confirms a tenth; 0.25 beyond chance is 0.325."""
    even = [10] * 10
    assert "hardly fit the groups" in objection(even, even, confirmed=0.32)
    assert objection(even, even, confirmed=0.33) == objection(even, even) == ""
