"""The score that judges a labeling without any true label."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from core.evaluation.label_free import MAX_IMAGES, label_free_score, stratified_folds


@pytest.fixture
def blobs():
    """Return 90 points around three far corners, and which corner."""
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 30)
    return (np.eye(3)[labels] * 8 + generator.normal(size=(90, 3))).astype(np.float32), labels


def test_a_labeling_that_follows_the_features_scores_one(blobs):
    assert label_free_score(*blobs, seed=0) == 1.0


def test_random_labels_score_about_chance(blobs):
    features, labels = blobs
    assert label_free_score(features, np.random.default_rng(1).permutation(labels), seed=0) < 0.55


def test_one_class_scores_zero_for_it_tells_nothing_apart(blobs):
    assert label_free_score(blobs[0], np.zeros(90, dtype=np.int64), seed=0) == 0.0


def test_a_class_with_a_single_image_counts_that_image_as_wrong(blobs):
    features, labels = blobs
    labels = labels.copy()
    labels[0] = 3
    assert label_free_score(features, labels, seed=0) <= 89 / 90


def test_fewer_images_than_folds_leave_one_out():
    features = np.array([[0.0], [0.1], [5.0], [5.1]])
    assert label_free_score(features, np.array([0, 0, 1, 1]), seed=0) == 1.0
    assert label_free_score(features[1:3], np.array([0, 1]), seed=0) == 0.0


def test_several_spaces_are_averaged(blobs):
    features, labels = blobs
    noise = np.random.default_rng(2).normal(size=features.shape).astype(np.float32)
    alone = [label_free_score(one, labels, seed=0) for one in (features, noise)]
    assert label_free_score([features, noise], labels, seed=0) == pytest.approx(np.mean(alone))


def test_the_same_seed_gives_the_same_score(blobs):
    features, labels = np.random.default_rng(3).normal(size=(90, 3)), blobs[1]
    assert label_free_score(features, labels, seed=1) == label_free_score(features, labels, seed=1)


def test_it_is_the_cross_validated_accuracy_of_plain_logistic_regression():
    images, _ = load_digits(return_X_y=True)
    features = (images[:300] / 16).astype(np.float32)
    labels = (features @ np.random.default_rng(0).normal(size=(64, 5))).argmax(axis=1)
    fold_of = stratified_folds(labels, 10, np.random.default_rng(7))
    right = [
        LogisticRegression(C=1.0, max_iter=1000).fit(features[fold_of != fold], labels[fold_of != fold])
        .score(features[fold_of == fold], labels[fold_of == fold]) for fold in range(10)
    ]
    assert label_free_score(features, labels, seed=7) == pytest.approx(np.mean(right), abs=0.004)


def test_folds_are_even_and_so_is_every_class_over_them():
    labels = np.array([0] * 50 + [1] * 33 + [2] * 4)
    fold_of = stratified_folds(labels, 10, np.random.default_rng(0))
    assert np.ptp(np.bincount(fold_of, minlength=10)) <= 1
    for one in range(3):
        assert np.ptp(np.bincount(fold_of[labels == one], minlength=10)) <= 1


def test_it_counts_the_folds_as_they_begin(blobs):
    seen: list[int] = []
    label_free_score([blobs[0], blobs[0]], blobs[1], seed=0, on_fold=seen.append)
    assert seen == list(range(20))


def test_a_large_collection_is_scored_on_a_sample():
    labels = np.arange(MAX_IMAGES + 3000) % 2
    features = labels[:, None] + np.random.default_rng(0).normal(scale=0.1, size=(len(labels), 1))
    assert label_free_score(features, labels, seed=0) == pytest.approx(1.0, abs=0.01)
