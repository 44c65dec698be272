"""Curves: what is drawn stands where it should."""

from __future__ import annotations

import math

from core.evaluation.drawing import ACCENT, CURVE_BOX_PX, CURVE_SIZE_PX, GREY, curve

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
