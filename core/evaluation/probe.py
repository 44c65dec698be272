"""The linear probe: how well a linear classifier tells true classes apart in frozen features.

Lehner et al., 2023, arXiv:2304.10520, appendix B: a batch normalisation without parameters, which
standardises each feature, and a linear layer on the frozen features. They fit it by SGD on augmented images;
here it is logistic regression (C = 1, L-BFGS) on the features of plain ones, which needs no learning rate to
be swept and has one answer.

Shapes: N images, M of them fitted to, D features, K classes.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from core.classifier import Classifier, Member
from core.evaluation.evidence import Backbone, Evidence, Finding, spread
from core.threads import few_threads

SMALLEST_DEVIATION = 1e-6


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A linear classifier of features.

    Attributes:
        weight: (D, K).
        bias: (K,).
        classes: the class of each column, (K,).
    """

    weight: NDArray[np.float64]
    bias: NDArray[np.float64]
    classes: NDArray[np.int64]

    def answer(self, features: NDArray[np.floating]) -> NDArray[np.int64]:
        """Return the class (N,) of features (N, D)."""
        answers: NDArray[np.int64] = self.classes[(features @ self.weight + self.bias).argmax(axis=1)]
        return answers

    def member(self, backbone: Backbone) -> Member:
        """Return it as a head of the backbone whose features it was fitted to."""
        return Member(backbone=backbone, weight=torch.from_numpy(self.weight).float(),
                      bias=torch.from_numpy(self.bias).float())


def fit(features: NDArray[np.floating], labels: NDArray[np.integer], strength: float = 1.0) -> Probe:
    """Fit logistic regression to labels (M,) on features (M, D), standardised; `strength` is its C.

    With a single class, that class is the answer to everything.
    """
    classes = np.unique(labels).astype(np.int64)
    if len(classes) == 1:
        return Probe(weight=np.zeros((features.shape[1], 1)), bias=np.zeros(1), classes=classes)
    mean, deviation = features.mean(axis=0), np.maximum(features.std(axis=0), SMALLEST_DEVIATION)
    with warnings.catch_warnings(), few_threads(features.size):
        warnings.simplefilter("ignore", ConvergenceWarning)  # where classes are separable, the rest changes no answer
        model = LogisticRegression(C=strength, max_iter=1000).fit((features - mean) / deviation, labels)
    weight, bias = model.coef_.T.astype(np.float64), model.intercept_.astype(np.float64)
    if len(classes) == 2:  # sklearn keeps the second class's column alone
        weight, bias = np.hstack([-weight / 2, weight / 2]), np.hstack([-bias / 2, bias / 2])
    weight = weight / deviation[:, None]
    return Probe(weight=weight, bias=bias - mean @ weight, classes=classes)


def accuracies(features: NDArray[np.floating], truth: NDArray[np.integer], folds: NDArray[np.integer]) -> list[float]:
    """Return the share answered right of each fold (N,) by a probe that was fitted to the others."""
    found = []
    for fold in range(int(folds.max()) + 1):
        held_out = folds == fold
        probe = fit(features[~held_out], truth[~held_out])
        found.append(float((probe.answer(features[held_out]) == truth[held_out]).mean()))
    return found


def linear_probe(evidence: Evidence) -> Finding:
    """Measure the accuracy of the linear probe, 5-fold."""
    return Finding(figures=spread("accuracy", accuracies(evidence.features, evidence.truth, evidence.folds)))


def judge(evidence: Evidence) -> tuple[Classifier, NDArray[np.int64]]:
    """Return what answers, and the images to ask it about: for a backbone that answers nothing, a linear probe.

    A probe was fitted to four folds, so it is asked about the fifth.
    """
    if evidence.classifier is not None:
        return evidence.classifier, evidence.sampled
    held_out = evidence.folds == 0
    probe = fit(evidence.features[~held_out], evidence.truth[~held_out])
    classifier = Classifier(members=(probe.member(evidence.backbones[0]),), method="linear probe",
                            class_names=tuple(evidence.class_names[one] for one in probe.classes))
    return classifier, evidence.sampled_of(held_out)
