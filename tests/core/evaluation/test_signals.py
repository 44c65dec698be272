from __future__ import annotations

import numpy as np
import pytest

from core.evaluation.signals import agreement, group_agreement, signals


def test_sure_and_evenly_spread_answers_have_every_figure_at_its_end() -> None:
    found = signals(np.eye(4)[np.arange(40) % 4])
    assert found["images"] == 40 and found["classes"] == 4
    for name in ("mean_confidence", "mean_margin", "confidence_q10", "nuclear_norm", "histogram_entropy",
                 "classes_found"):
        assert found[name] == pytest.approx(1.0), name
    assert found["mean_entropy"] == pytest.approx(0.0)
    assert found["largest_share"] == pytest.approx(0.25)


def test_collapse_is_sure_but_neither_varied_nor_spread() -> None:
    found = signals(np.eye(4)[np.zeros(40, dtype=int)])
    assert found["mean_confidence"] == pytest.approx(1.0)
    assert found["nuclear_norm"] == pytest.approx(0.5)  # rank one: sqrt(N) / sqrt(N K)
    assert found["histogram_entropy"] == pytest.approx(0.0)
    assert found["largest_share"] == pytest.approx(1.0)
    assert found["classes_found"] == pytest.approx(0.25)


def test_answers_that_know_nothing_have_the_largest_entropy() -> None:
    found = signals(np.full((10, 5), 0.2, dtype=np.float32))
    assert found["mean_entropy"] == pytest.approx(1.0)
    assert found["mean_margin"] == pytest.approx(0.0)
    assert found["confidence_q50"] == pytest.approx(0.2)


def test_one_class_is_described_without_a_division_by_zero() -> None:
    found = signals(np.ones((3, 1)))
    assert found["mean_entropy"] == found["histogram_entropy"] == 0.0 and found["mean_margin"] == 1.0


def test_clusters_are_matched_before_they_are_said_to_agree() -> None:
    labels, renamed = np.array([0, 0, 1, 1, 2, 2]), np.array([2, 2, 0, 0, 1, 0])
    assert agreement(labels, renamed, same_classes=True) == 0.0
    assert agreement(labels, renamed, same_classes=False) == pytest.approx(5 / 6)


def groups(count: int = 60, classes: int = 3, apart: float = 10.0) -> tuple[np.ndarray, np.ndarray]:
    """Return features (N, D) in groups that lie apart, and which group each is of (N,)."""
    random, of = np.random.default_rng(0), np.arange(count) % classes
    return apart * np.eye(classes, 8)[of] + random.normal(0, 1, (count, 8)), of


def test_answers_that_follow_the_groups_are_confirmed_by_them_whatever_their_names() -> None:
    features, of = groups()
    assert group_agreement([features], (of + 1) % 3, 3, seed=0) == 1.0


def test_answers_that_cut_across_the_groups_are_not_confirmed() -> None:
    features, of = groups()
    across = np.arange(len(of)) // 20  # sure, even, and of nothing that is seen
    assert group_agreement([features], across, 3, seed=0) < 0.5


def test_each_space_has_its_say_whatever_its_scale() -> None:
    features, of = groups()
    noise = np.random.default_rng(1).normal(0, 1, (60, 8))
    assert group_agreement([1000 * features, noise], of, 3, seed=0) == group_agreement([features, noise], of, 3, seed=0)


def test_the_same_seed_confirms_the_same_share() -> None:
    features, of = groups(apart=1.0)
    assert group_agreement([features], of, 3, seed=4) == group_agreement([features], of, 3, seed=4)


def test_more_classes_than_images_and_features_of_nothing_are_answered_too() -> None:
    assert group_agreement([np.zeros((4, 3))], np.array([0, 1, 2, 3]), 9, seed=0) == 0.25


def test_a_space_of_large_numbers_does_not_outvote_one_that_tells_the_groups_apart() -> None:
    features, of = groups()
    noise = np.random.default_rng(1).normal(0, 1, (60, 8))
    assert group_agreement([features, 1000 * noise], of, 3, seed=0) == group_agreement([features, noise], of, 3, seed=0)
    assert group_agreement([1000 * noise], of, 3, seed=0) < group_agreement([features, 1000 * noise], of, 3, seed=0)


def test_margins_quantiles_and_the_nuclear_norm_of_worked_answers() -> None:
    found = signals(np.array([[0.7, 0.2, 0.1], [0.5, 0.3, 0.2]]))
    assert found["mean_margin"] == pytest.approx((0.5 + 0.2) / 2)
    assert (found["confidence_q10"], found["confidence_q75"]) == pytest.approx((0.52, 0.65))
    assert signals(np.eye(3)[:2])["nuclear_norm"] == pytest.approx(1.0), "of two images no more than two classes"
