"""How a run compares with its baseline on one sample: the interval, its coverage, and what is said."""

from __future__ import annotations

import numpy as np
import pytest

from core.evaluation.guard import measured_loss
from core.evaluation.paired import Difference, adjusted_wald, difference, sentence
from core.evaluation.spot_check import DESIGNS, Stratum, draw


def test_the_interval_is_agresti_and_mins() -> None:
    """As diffpropci.mp(b = 20, c = 40, n = 160) of the R package PropCIs prints it, with the sign of c - b."""
    assert adjusted_wald(20 / 160, 40 / 160, 160) == pytest.approx((-0.21601726, -0.03089632), abs=1e-8)
    assert adjusted_wald(40 / 160, 20 / 160, 160) == pytest.approx((0.03089632, 0.21601726), abs=1e-8)


def test_only_images_that_one_of_both_has_right_count() -> None:
    one = [Stratum(images=1000, told=range(50))]
    found = difference(one, range(40), range(10, 45))
    assert found is not None and found.answered == 50
    assert found.value == pytest.approx((10 - 5) / 50)
    assert (found.low, found.high) == adjusted_wald(10 / 50, 5 / 50, 50)
    assert difference(one, range(25), range(25)) == Difference(value=0.0, low=pytest.approx(-0.0377, abs=1e-3),
                                                               high=pytest.approx(0.0377, abs=1e-3), answered=50)


def test_strata_are_weighted_back_to_the_whole_and_all_images_are_exact() -> None:
    strata = [Stratum(images=900, told=range(10)), Stratum(images=100, told=range(10, 20))]
    found = difference(strata, range(10), range(10, 20))
    assert found is not None and found.value == pytest.approx(0.9 - 0.1)
    assert found.low < 0.8 < found.high <= 1
    assert difference([*strata, Stratum(images=1, told=())], range(10), range(10)) is None
    assert difference([], (), ()) is None
    all_asked = [Stratum(images=10, told=range(10)), Stratum(images=10, told=range(10, 20))]
    whole = difference(all_asked, range(12), range(7))
    assert whole == Difference(value=0.25, low=0.25, high=0.25, answered=20)


@pytest.mark.parametrize("design", DESIGNS)
def test_the_interval_covers_the_truth_and_decides_nothing_wrongly(design: str) -> None:
    random = np.random.default_rng(1)
    covered = decided = wrong = 0
    for seed in range(1000):
        if seed % 50 == 0:  # twenty collections, each with its own classes, its own hard ones and its own gain
            classes = int(random.integers(3, 9))
            labels = random.choice(classes, 1500, p=random.dirichlet(np.full(classes, 2)))
            theirs = random.random(1500) < random.beta(3, 1, classes)[labels]
            kept, won = random.uniform(0.85, 1), random.uniform(0, 0.6)
            ours = random.random(1500) < np.where(theirs, kept, won)
            sizes = np.bincount(labels, minlength=classes).tolist()
        sample = draw(labels.tolist(), 50, seed, design)
        strata = [Stratum(images=1500, told=sample)] if design == "uniform" else [
            Stratum(images=sizes[k], told=[one for one in sample if labels[one] == k]) for k in range(classes)]
        found = difference(strata, *(set(np.flatnonzero(one).tolist()) for one in (ours, theirs)))
        assert found is not None
        truth = ours.mean() - theirs.mean()
        covered += found.low <= truth <= found.high
        decided += found.is_gain or found.is_loss
        wrong += (found.is_gain and truth <= 0) or (found.is_loss and truth >= 0)
    assert covered >= 930
    assert decided > 100 and wrong <= 10


@pytest.mark.parametrize(("ends", "said"), [
    ((0.12, 0.02, 0.22), "Zero-shot has 12 points fewer right on the same images (95 % interval 2 to 22)"),
    ((-0.12, -0.22, -0.02), "Zero-shot has 12 points more right on the same images (95 % interval 2 to 22)"),
    ((0.04, -0.05, 0.13),
     "Zero-shot is not shown to be better or worse on the same images (95 % interval -5 to +13 points)"),
    ((-0.034, -0.034, -0.034), "Zero-shot has 3.4 points more right on the same images"),
    ((0.0, 0.0, 0.0), "Zero-shot has as many right on the same images")])
def test_it_is_said_how_the_baseline_compares(ends: tuple[float, float, float], said: str) -> None:
    value, low, high = ends
    assert sentence(Difference(value=value, low=low, high=high, answered=50), "Zero-shot") == said


def test_a_measured_loss_is_an_objection_with_its_figures() -> None:
    lost = Difference(value=-0.2, low=-0.31, high=-0.09, answered=50)
    assert str(measured_loss(lost)) == ("Keep the baseline: of 50 random images that a person named the baseline has "
                                        "more right, by 9 to 31 points with 95 % confidence.")


def test_a_stratified_difference_has_its_interval_at_what_it_tells_of_the_whole() -> None:
    strata = [Stratum(images=900, told=range(10)), Stratum(images=100, told=range(10, 20))]
    found = difference(strata, [0, 1, 2, 9], [3, 9, 10, 11])  # of ten: 3 gained, 1 lost; none gained, 2 lost

    def spread(gained: float, lost: float) -> float:
        return gained + lost - (gained - lost) ** 2

    variance = 0.9**2 * spread(3.5 / 12, 1.5 / 12) / 10 + 0.1**2 * spread(0.5 / 12, 2.5 / 12) / 10
    whole = spread(0.9 * 3.5 / 12 + 0.1 * 0.5 / 12, 0.9 * 1.5 / 12 + 0.1 * 2.5 / 12)
    assert found is not None and found.value == pytest.approx(0.27 - 0.11)
    assert (found.low, found.high) == pytest.approx(adjusted_wald(0.27, 0.11, whole / variance))
    opposed = difference([Stratum(images=100, told=range(10)), Stratum(images=100, told=range(10, 20))],
                         range(10), range(10, 20))
    assert opposed is not None and (opposed.low, opposed.high) == pytest.approx(adjusted_wald(0.5, 0.5, 20))
