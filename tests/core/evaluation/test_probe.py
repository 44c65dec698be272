"""The linear probe beside plain logistic regression."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression

from core.evaluation import probe


def test_a_probe_of_two_classes_answers_as_logistic_regression_does_where_one_is_rare() -> None:
    generator = np.random.default_rng(0)
    truth = (np.arange(200) % 10 == 0).astype(int)
    features = truth[:, None] + generator.normal(size=(200, 3))
    standing = (features - features.mean(axis=0)) / features.std(axis=0)
    expected = LogisticRegression(C=1.0, max_iter=1000).fit(standing, truth).predict(standing)
    assert probe.fit(features, truth).answer(features).tolist() == expected.tolist()
    assert 0 < expected.sum() < 20
