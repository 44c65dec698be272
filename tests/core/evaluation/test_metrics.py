"""Measures of inferred labels against true ones, in cases whose answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from core.evaluation import metrics

TRUTH = [0, 0, 0, 1, 1, 2]


def test_accuracy_is_the_share_of_equal_labels():
    assert metrics.accuracy([0, 0, 1, 1, 1, 0], TRUTH) == pytest.approx(4 / 6)


def test_mean_per_class_weighs_classes_alike_and_skips_those_without_images():
    assert metrics.mean_per_class([0, 0, 1, 1, 1, 0], TRUTH) == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert metrics.mean_per_class([0, 5], [0, 7]) == pytest.approx(0.5)


def test_hungarian_accuracy_does_not_mind_how_clusters_are_numbered():
    assert metrics.hungarian_accuracy([2, 2, 2, 0, 0, 1], TRUTH) == 1.0
    assert metrics.hungarian_accuracy([40, 40, 7, 7, 7, 9], TRUTH) == pytest.approx(5 / 6)


def test_hungarian_accuracy_takes_the_best_match_not_the_greedy_one():
    # Greedy gives cluster 0 to class 0 (3 images) and is left with 0; the best match has 2 + 2.
    labels, truth = [0] * 5 + [1] * 2, [0] * 3 + [1] * 2 + [0] * 2
    assert metrics.hungarian_accuracy(labels, truth) == pytest.approx(4 / 7)


def test_more_clusters_than_classes_leave_some_without_a_class():
    assert metrics.assign([0, 1, 2, 3], [5, 5, 6, 6]).tolist().count(-1) == 2
    assert metrics.hungarian_accuracy([0, 1, 2, 3], [5, 5, 6, 6]) == 0.5


def test_fewer_clusters_than_classes_still_count():
    assert metrics.hungarian_accuracy([0, 0, 0, 0, 0, 0], TRUTH) == 0.5


def test_nmi_divides_by_the_geometric_mean():
    # Two true classes of two; every image a cluster of its own: I = ln 2, H(truth) = ln 2, H(labels) = ln 4.
    assert metrics.nmi([0, 1, 2, 3], [0, 0, 1, 1]) == pytest.approx(math.log(2) / math.sqrt(math.log(2) * math.log(4)))


@pytest.mark.parametrize("measure", [metrics.nmi, metrics.ami, metrics.ari])
def test_a_renumbered_truth_scores_one(measure):
    assert measure([1, 1, 1, 2, 2, 0], TRUTH) == pytest.approx(1.0)


@pytest.mark.parametrize("measure", [metrics.ami, metrics.ari])
def test_random_labels_score_about_zero_once_adjusted_for_chance(measure):
    generator = np.random.default_rng(0)
    assert abs(measure(generator.integers(0, 20, 400), generator.integers(0, 5, 400))) < 0.03


def test_ari_of_a_small_case():
    # Pairs: 1 together in both, 3 in the truth, 3 in the labels, 15 in all.
    assert metrics.ari([0, 0, 1, 1, 2, 2], [0, 0, 1, 2, 1, 2]) == pytest.approx((1 - 9 / 15) / (3 - 9 / 15))


def test_evaluate_compares_names_directly_and_clusters_by_their_best_match():
    labels = [1, 1, 1, 2, 2, 0]
    named, clusters = metrics.evaluate(labels, TRUTH, ["a", "b", "c"]), metrics.evaluate(labels, TRUTH, None)
    assert named["accuracy"] == 0.0 and "hungarian_accuracy" not in named
    assert clusters["hungarian_accuracy"] == clusters["mean_per_class"] == 1.0 and "accuracy" not in clusters
    assert named["nmi"] == clusters["nmi"] == pytest.approx(1.0)


@pytest.mark.parametrize("labels", [[], [0, 1]])
def test_it_refuses_labels_that_do_not_fit_the_truth(labels):
    with pytest.raises(ValueError, match="cannot be compared"):
        metrics.accuracy(labels, TRUTH)


def test_bcubed_precision_of_a_worked_example():
    # Cluster a: three of class 0, one of class 1; cluster b: two of class 1.
    # Three images share their class with 3/4 of their cluster, one with 1/4, two with all of it.
    labels, truth = [7, 7, 7, 7, 3, 3], [0, 0, 0, 1, 1, 1]
    assert metrics.bcubed_precision(labels, truth) == pytest.approx((3 * 0.75 + 0.25 + 2) / 6)
    assert metrics.bcubed_precision([1, 1, 1, 2, 2, 3], TRUTH) == 1.0
    assert metrics.bcubed_precision([0] * 6, TRUTH) == pytest.approx((3 * 3 + 2 * 2 + 1) / 36)
