"""How good a labeling is, judged without any true label: can a simple model learn it and generalise?

The generalisation score of Gadetsky, Jiang, Brbić, ICML 2024 (arXiv:2406.07236), used here for the
result of every method: 10-fold cross-validated accuracy of logistic regression (C = 1) on frozen
features, predicting the labels that the method found. It is an estimate of how *learnable* a
labeling is, not of how right it is.

Shapes: N images, D features, K classes.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from core.threads import few_threads

FOLDS = 10
MAX_IMAGES = 5_000
"""Larger collections are scored on a seeded uniform sample of so many images: ten regressions on
more would take longer than adapting, and 5,000 answers fix an accuracy to within 0.7 points."""


def label_free_score(features: NDArray[np.floating] | Sequence[NDArray[np.floating]], labels: NDArray[np.integer],
                     seed: int, on_fold: Callable[[int], None] = lambda fold: None) -> float:
    """Return the score, 0 … 1, of labels (N,) on features (N, D), averaged over spaces if several.

    Folds hold equal shares of every class as far as its size allows; an image whose class has no
    other member counts as wrong, for nothing could have learnt it. A labeling with one class scores
    0.0: "always the same" is learnt perfectly and tells nothing apart, and a score of 1.0 would
    make collapse the best of all results.

    Args:
        features: one space's features, or a sequence of several spaces', as the backbone gives them.
        labels: the class found for each image.
        seed: fixes the folds.
        on_fold: called with 0, 1, … before each regression, to report progress or to cancel.
    """
    several = isinstance(features, list | tuple)
    spaces = [np.asarray(one, dtype=np.float32) for one in (features if several else [features])]
    labels = np.asarray(labels)
    generator = np.random.default_rng(seed)
    if len(labels) > MAX_IMAGES:
        sample = np.sort(generator.choice(len(labels), MAX_IMAGES, replace=False))
        spaces, labels = [one[sample] for one in spaces], labels[sample]
    if len(np.unique(labels)) < 2:
        return 0.0
    fold_of = stratified_folds(labels, min(FOLDS, len(labels)), generator)
    right = 0
    for number, (space, fold) in enumerate((space, fold) for space in spaces for fold in range(fold_of.max() + 1)):
        on_fold(number)
        held_out = fold_of == fold
        with few_threads(space.size):
            answers = _predict(space[~held_out], labels[~held_out], space[held_out])
        right += int((answers == labels[held_out]).sum())
    return right / (len(labels) * len(spaces))


def stratified_folds(labels: NDArray[np.integer], folds: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Return the fold (N,) of each image: fold sizes differ by at most one, as do a class's shares of them."""
    shuffled = generator.permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    fold_of = np.empty(len(labels), dtype=np.int64)
    fold_of[by_class] = np.arange(len(labels)) % folds
    return fold_of


def _predict(train: NDArray[np.float32], labels: NDArray[np.integer],
             test: NDArray[np.float32]) -> NDArray[np.integer]:
    """Fit logistic regression and return its answers; where only one class is left, that class."""
    if len(np.unique(labels)) < 2:
        return np.full(len(test), labels[0])
    centre = train.mean(axis=0)  # moves the intercept only, which is not penalised; converges sooner
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 1,000 iterations are the reference's limit as well
        model = LogisticRegression(C=1.0, max_iter=1000).fit(train - centre, labels)
    answers: NDArray[np.integer] = model.predict(test - centre)
    return answers
