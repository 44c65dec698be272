"""What the committed rows are held against: each claim must be able to fail."""

from __future__ import annotations

import pytest

from benchmarks import bounds, rows
from benchmarks.bounds import BASELINE, Table
from benchmarks.targets import DIGITS, TARGETS


def table(**accuracies: float) -> Table:
    """Return a table with the same accuracy of a method on every target, but where a target is named."""
    titles = {"one": "zero-shot, 1 template", "seven": "zero-shot, 7 templates", "eighty": BASELINE, "must": "MUST"}
    return Table([row(target, titles[key], value) for key, value in accuracies.items() for target in TARGETS])


def row(target: str, method: str, accuracy: float, seed: int = 0) -> rows.Row:
    return rows.Row(target=target, method=method, seed=seed, settings={}, metrics={"accuracy": accuracy},
                    label_free_score=None, seconds=1.0, weights="w")


def held(found: Table) -> dict[str, bool]:
    return {one.claim: one.holds for one in bounds.accuracy_bounds(found)}


def test_must_is_held_against_the_best_zero_shot():
    found = table(one=0.4, seven=0.5, eighty=0.45, must=0.535)
    assert bounds.best_zero_shot(found) == "zero-shot, 7 templates"
    assert not held(found)["MUST over zero-shot, 7 templates, mean of seven targets, points"]
    assert held(table(one=0.4, eighty=0.45, seven=0.5, must=0.545))[
        "MUST over zero-shot, 7 templates, mean of seven targets, points"]


def test_what_was_not_measured_everywhere_is_not_the_best_zero_shot():
    found = Table([row(DIGITS, "zero-shot, 7 templates", 0.9), *(row(name, BASELINE, 0.4) for name in TARGETS)])
    assert bounds.best_zero_shot(found) == BASELINE


def test_one_target_that_is_worse_is_short():
    rows_of_must = [row(name, "MUST", 0.8 if name != "trash" else 0.38) for name in TARGETS]
    found = Table([*rows_of_must, *(row(name, BASELINE, 0.4) for name in TARGETS)])
    assert not held(found)[f"MUST over {BASELINE}, worst target, points"]
    assert held(found)[f"MUST over {BASELINE}, mean of seven targets, points"]


@pytest.mark.parametrize("claim", [
    "MUST over MUST st+mim, mean of all targets, points", "MUST st+mim over MUST st, mean of all targets, points"])
def test_the_order_of_the_ablations_is_short_until_it_is_measured(claim):
    assert not held(table(eighty=0.4, must=0.5))[claim]


def test_seeds_are_averaged_before_targets():
    found = Table([row(DIGITS, "MUST", 0.5), row(DIGITS, "MUST", 0.7, seed=1)])
    assert found.mean(DIGITS, "MUST") == pytest.approx(60)
    assert found.mean_over(TARGETS, "MUST") is None
