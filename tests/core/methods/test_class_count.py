"""Choosing how many classes there are from scores alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.evaluation.label_free import label_free_score
from core.methods.class_count import choose_count, coarse_counts, corrected_for_chance, fine_counts, heights
from core.methods.trials import Outcome, Trial
from core.training.bilevel import LabelingSearch


def outcome(num_classes: int, score: float, largest_share: float | None = None) -> Outcome:
    trial = Trial(num_classes=num_classes, steps=1, outer_learning_rate=1e-3, inner_learning_rate=1e-3,
                  warm_start=False)
    return Outcome(trial=trial, classes_found=num_classes, score=score,
                   largest_share=1 / num_classes if largest_share is None else largest_share)


def test_candidates_are_even_over_the_logarithm_and_hold_both_ends():
    counts = coarse_counts(2, 50, num_images=2000)
    assert counts[0] == 2 and counts[-1] == 50 and len(counts) <= 10
    assert counts == sorted(set(counts))
    assert max(np.diff(np.log(counts))) < 0.6


@pytest.mark.parametrize(("fewest", "most", "num_images", "ends"), [
    (0, 0, 2000, (2, 50)), (0, 0, 120, (2, 12)), (0, 0, 29, (2, 8)), (0, 0, 7, (2, 3)), (0, 0, 3, (2, 2)),
    (60, 0, 100_000, (60, 240)), (30, 0, 100, (30, 50)), (5, 80, 40, (5, 40)), (60, 60, 100_000, (60, 60))])
def test_open_ends_are_chosen_by_the_number_of_images(fewest, most, num_images, ends):
    counts = coarse_counts(fewest, most, num_images)
    assert (counts[0], counts[-1]) == ends


def test_the_second_round_looks_between_the_neighbours():
    assert fine_counts([2, 6, 9, 12], best=9) == [7, 8, 10, 11]
    assert fine_counts([2, 3, 4], best=3) == []
    assert fine_counts([2, 10], best=2) == [4, 5, 7, 8]


def test_always_answering_the_largest_class_scores_nothing():
    assert corrected_for_chance(outcome(2, score=0.9, largest_share=0.9)) == 0.0
    assert corrected_for_chance(outcome(2, score=1.0, largest_share=0.9)) == 1.0
    assert corrected_for_chance(outcome(2, score=0.0, largest_share=1.0)) == 0.0


def test_a_steady_fall_has_no_height_and_a_bend_has():
    counts = (2, 4, 8, 16)
    falling = [outcome(count, 1 - 0.1 * np.log2(count), largest_share=0.0) for count in counts]
    assert heights(falling) == pytest.approx([0, 0, 0, 0], abs=1e-12)
    bent = [outcome(2, 1.0, 0.0), outcome(4, 1.0, 0.0), outcome(8, 0.8, 0.0), outcome(16, 0.6, 0.0)]
    assert choose_count(bent) == 4


def test_two_classes_win_where_everything_above_two_falls_at_once():
    assert choose_count([outcome(2, 1.0, 0.0), outcome(4, 0.6, 0.0), outcome(8, 0.55, 0.0), outcome(16, 0.5, 0.0)]) == 2


@pytest.mark.parametrize("true_count", [4, 7])
def test_it_finds_the_number_of_separate_groups(true_count):
    generator = np.random.default_rng(1)
    truth = generator.integers(0, true_count, 300)
    centres = generator.normal(size=(true_count, 16)) * 1.5
    features = (centres[truth] + generator.normal(size=(300, 16))).astype(np.float32)
    outcomes = []
    for count in (2, 3, 4, 5, 7, 9, 12, 16):
        search = LabelingSearch([torch.from_numpy(features)], count, inner_steps=10, sample_size=1000,
                                outer_learning_rate=1e-2, inner_learning_rate=1e-2, warm_start=True,
                                entropy_weight=10.0, seed=0)
        for _ in range(60):
            search.step()
        labels = search.probabilities().argmax(dim=1).numpy()
        outcomes.append(outcome(count, label_free_score(features, labels, seed=0), np.bincount(labels).max() / 300))
    assert choose_count(outcomes) == true_count
