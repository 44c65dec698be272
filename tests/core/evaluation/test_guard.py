from __future__ import annotations

import math

import pytest

from core.evaluation.guard import NAMES_DO_NOT_FIT, evenness, is_less_even, objection


def test_evenness_is_entropy_over_its_largest_value() -> None:
    assert evenness([5, 5, 5]) == pytest.approx(1.0)
    assert evenness([9, 0, 0]) == evenness([]) == evenness([4]) == 0.0
    assert evenness([1, 1, 0, 0]) == pytest.approx(math.log(2) / math.log(4))


def test_a_run_that_lost_a_class_is_objected_to_whatever_its_evenness() -> None:
    found = objection([30, 30, 0], [58, 1, 1])
    assert str(found).startswith("Keep the baseline: it answers 2 of 3 classes, the baseline 3, as runs did")


def test_a_run_that_crowds_its_images_is_objected_to() -> None:
    assert "1,040 in the largest" in str(objection([1040, 30, 30], [400, 400, 300]))
    assert objection([400, 400, 300], [1040, 30, 30]) is None


def test_a_run_as_even_as_its_baseline_is_not() -> None:
    assert objection([33, 30, 27], [30, 33, 27]) is None
    assert objection([2, 58, 0], [0, 58, 2]) is None
    assert objection([], [1, 2]) is objection([1, 2], []) is None


def test_a_run_whose_baseline_no_groups_confirm_is_objected_to() -> None:
    """Of ten classes chance confirms a tenth; 0.25 beyond chance is 0.325."""
    even = [10] * 10
    assert objection(even, even, confirmed=0.32) is NAMES_DO_NOT_FIT
    assert objection(even, even, confirmed=0.33) is objection(even, even) is None


def test_a_run_that_a_person_taught_may_be_as_uneven_as_the_person_and_owes_the_names_nothing() -> None:
    assert objection([1040, 30, 30], [400, 400, 300], confirmed=0.1, taught=True) is None
    assert "it answers 2 of 3" in str(objection([1040, 60, 0], [400, 400, 300], taught=True))


def test_groups_that_another_encoder_can_hardly_repeat_are_objected_to() -> None:
    even = [10] * 10
    assert str(objection(even, even, opinions=(0.55, 0.60))).startswith(
        "Keep the baseline: an encoder that took no part can repeat 55 % of these groups and 60 % of the baseline's")
    assert objection(even, even, opinions=(0.59, 0.60)) is objection(even, even, opinions=(0.9, 0.5)) is None
    assert objection(even, even, opinions=(0.55, 0.60), taught=True) is None


def test_a_run_may_lose_five_points_of_evenness_and_fifteen_where_it_was_taught() -> None:
    assert [is_less_even(0.9 - loss, 0.9) for loss in (0.04, 0.06)] == [False, True]
    assert [is_less_even(0.9 - loss, 0.9, taught=True) for loss in (0.14, 0.16)] == [False, True]
