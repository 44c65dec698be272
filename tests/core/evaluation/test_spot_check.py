from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from scipy.stats import binomtest

from core.card import Card
from core.errors import ConfigError
from core.evaluation.result import Result
from core.evaluation.spot_check import (
    DESIGNS,
    NOTHING_MEASURED,
    Measured,
    Stratum,
    draw,
    measure,
    sentence,
    wilson,
    with_measurement,
)

LABELS = [0] * 200 + [1] * 90 + [2] * 9 + [3]


@pytest.mark.parametrize(("right", "count"), [(0, 50), (1, 50), (42, 50), (50, 50), (7, 9), (150, 200)])
def test_the_interval_is_wilsons(right: int, count: int) -> None:
    theirs = binomtest(right, count).proportion_ci(0.95, method="wilson")
    assert wilson(right / count, count) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@pytest.mark.parametrize("design", DESIGNS)
def test_a_sample_is_fixed_by_its_seed_and_asks_nothing_twice(design: str) -> None:
    sample = draw(LABELS, 50, 7, design)
    assert sample == draw(LABELS, 50, 7, design) != draw(LABELS, 50, 8, design)
    assert len(sample) == len(set(sample)) == 50
    assert sorted(draw(LABELS, 1000, 7, design)) == list(range(len(LABELS)))


@pytest.mark.parametrize("design", DESIGNS)
def test_a_sample_is_drawn_of_all_images_and_not_of_those_that_the_same_seed_held_out(design: str) -> None:
    held_out = set(np.random.default_rng(0).permutation(len(LABELS))[:60].tolist())  # as core.request does
    assert 0 < len(held_out.intersection(draw(LABELS, 50, 0, design))) < 25


def test_a_stratified_sample_holds_two_of_every_class_that_has_two() -> None:
    for seed in range(20):
        counts = Counter(LABELS[one] for one in draw(LABELS, 30, seed, "stratified"))
        assert counts[2] == 2 and counts[3] == 1
        assert counts[0] > counts[1] > 2 and sum(counts.values()) == 30


def test_the_order_of_a_stratified_sample_tells_nothing_of_the_classes() -> None:
    places = [place for seed in range(40) for place, one in enumerate(draw(LABELS, 30, seed, "stratified"))
              if LABELS[one] == 2]
    assert 10 < np.mean(places) < 19


def test_a_sample_that_cannot_be_drawn_is_refused_with_its_fix() -> None:
    with pytest.raises(ConfigError, match="take more images"):
        draw(list(range(40)) * 2, 50, 0, "stratified")
    for count, design in ((0, "uniform"), (5, "best")):
        with pytest.raises(ConfigError, match="positive number"):
            draw(LABELS, count, 0, design)


def test_strata_are_weighted_back_to_the_whole() -> None:
    found = measure([Stratum(images=900, told=range(10)), Stratum(images=100, told=range(10, 20))], range(10))
    assert found is not None and found.accuracy == pytest.approx(0.9)
    assert found.low < 0.9 < found.high < 1
    assert measure([Stratum(images=900, told=range(10)), Stratum(images=100, told=())], range(10)) is None
    assert measure([], ()) is None


def test_a_collection_that_was_asked_about_whole_is_known_exactly() -> None:
    found = measure([Stratum(images=30, told=range(30)), Stratum(images=10, told=range(30, 40))], range(6, 36))
    assert found == Measured(accuracy=0.75, low=0.75, high=0.75, answered=40)
    assert sentence(found) == "75.0 % right on all 40 images, labelled by a person"


@pytest.mark.parametrize("design", DESIGNS)
def test_the_interval_covers_the_truth_in_at_least_92_of_100_samples(design: str) -> None:
    random = np.random.default_rng(1)
    covered = 0
    for seed in range(1000):
        if seed % 100 == 0:  # ten collections, each with its own classes and its own hard ones
            classes = int(random.integers(3, 13))
            labels = random.choice(classes, 1500, p=random.dirichlet(np.full(classes, 2)))
            right = random.random(1500) < random.beta(3, 1, classes)[labels]
            sizes = np.bincount(labels, minlength=classes)
        sample = draw(labels.tolist(), 50, seed, design)
        groups = [sample] if design == "uniform" else [[one for one in sample if labels[one] == k]
                                                       for k in range(classes)]
        images = [1500] if design == "uniform" else sizes.tolist()
        found = measure([Stratum(images=count, told=group) for count, group in zip(images, groups, strict=True)],
                        set(np.flatnonzero(right).tolist()))
        assert found is not None
        covered += found.low <= right.mean() <= found.high
    assert covered >= 920


def test_the_card_says_what_was_measured_and_forgets_what_no_longer_stands() -> None:
    result = Result(label_free_score=0.9, classes_found=2, num_classes=2, class_names=("cat", "dog"), histogram=(3, 4),
                    confidence_histogram=(7,), seconds=1.0)
    card = Card(method="kmeans", settings={}, backbones=("starter-clip",), num_images=7, result=result,
                created=date(2026, 11, 21)).markdown()
    assert NOTHING_MEASURED in card
    first = with_measurement(card, Measured(accuracy=0.84, low=0.71, high=0.92, answered=50))
    assert ("- Measured by spot check: 84 % right (95 % interval 71–92 %), on a random sample of 50 images labelled "
            "by a person.\n\n## Limits") in first
    assert NOTHING_MEASURED not in first
    second = with_measurement(first, Measured(accuracy=0.5, low=0.4, high=0.6, answered=100))
    assert second.count("Measured by spot check") == 1 and "50 % right" in second
    assert with_measurement(second, None) == card


def test_it_is_said_what_could_not_be_told_and_which_sample_it_is() -> None:
    plain = Measured(accuracy=0.6, low=0.39, high=0.78, answered=20, seed=7)
    assert plain.provisos == (), "one sample, all of it told"
    assert sentence(replace(plain, unsure=30)) == (
        "60 % right (95 % interval 39–78 %), on 20 images of a random sample, labelled by a person; "
        "of 50 asked, 30 could not be told")
    assert replace(plain, draw=3, draws=3).provisos == ("sample 3 of 3 drawn, seed 7",)
    assert replace(plain, unsure=30, draw=2, draws=3, seed=None).provisos == (
        "of 50 asked, 30 could not be told", "sample 2 of 3 drawn")


def test_a_stratified_sample_has_wilsons_interval_at_what_it_tells_of_the_whole() -> None:
    found = measure([Stratum(images=900, told=range(10)), Stratum(images=100, told=range(10, 20))],
                    [*range(9), *range(10, 15)])  # 9 and 5 of ten right; one right and one wrong more each: 5/6 and 1/2
    variance = 0.9**2 * (5 / 6 * 1 / 6) / 10 + 0.1**2 * (1 / 2 * 1 / 2) / 10
    mean = 0.9 * 5 / 6 + 0.1 * 1 / 2
    assert found is not None and found.accuracy == pytest.approx(0.86)
    assert (found.low, found.high) == pytest.approx(wilson(0.86, mean * (1 - mean) / variance))
    assert mean * (1 - mean) / variance == pytest.approx(13.9, abs=0.1)


def test_a_stratified_sample_tells_no_more_than_as_many_answers_of_a_uniform_one() -> None:
    found = measure([Stratum(images=100, told=range(10)), Stratum(images=100, told=range(10, 20))], range(10))
    assert found is not None and (found.low, found.high) == pytest.approx(wilson(0.5, 20))
