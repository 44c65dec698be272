"""Curves: what is drawn stands where it should."""

from __future__ import annotations

import math

import numpy as np
import pytest

from core.evaluation.drawing import (
    ACCENT,
    CURVE_BOX_PX,
    CURVE_SIZE_PX,
    GREY,
    curve,
    grid_of_shares,
)

LEFT, TOP, RIGHT, BOTTOM = CURVE_BOX_PX


def test_a_curve_is_drawn_to_scale_above_its_trend_and_its_choice_is_marked() -> None:
    drawn = curve([2, 4, 8], [0.5, 0.9, 0.5], marked=4, across="classes")
    assert drawn.size == CURVE_SIZE_PX
    middle = (LEFT + RIGHT) // 2  # 4 lies halfway from 2 to 8 on a logarithmic scale
    assert drawn.getpixel((middle, TOP)) == ACCENT, "the highest score is at the top"
    assert drawn.getpixel((middle, BOTTOM - 40)) == ACCENT, "a line leads from the chosen count to its number"
    assert drawn.getpixel((LEFT + 40, BOTTOM)) == GREY, "the trend joins the first and the last score"
    drawn_at = [at for at in range(LEFT, RIGHT) if drawn.getpixel((at, BOTTOM - 40)) == ACCENT]
    assert math.isclose(sum(drawn_at) / len(drawn_at), middle, abs_tol=2), "it falls as it rises"


def test_a_flat_curve_is_drawn_too() -> None:
    assert curve([2, 3], [0.5, 0.5], marked=2, across="classes").size == CURVE_SIZE_PX


@pytest.mark.parametrize(("rows", "columns", "size"), [
    (2, 3, (72, 48)), (170, 171, (171 * 23, 170 * 23)), (1000, 1001, (4004, 4000)), (4097, 8194, (4096, 2048))])
def test_a_grid_of_many_classes_has_smaller_squares(rows: int, columns: int, size: tuple[int, int]) -> None:
    shares = np.zeros((rows, columns))
    shares[:, : columns // 2] = 1
    drawn = grid_of_shares(shares)
    assert drawn.size == size
    assert (drawn.getpixel((0, size[1] // 2)), drawn.getpixel((size[0] - 1, 0))) == ((0, 0, 0), (255, 255, 255))
