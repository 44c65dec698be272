"""What a model has forgotten of its source, and whom a probe that stands in for a classifier is asked about."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor

from core.evaluation import probe
from core.evaluation.forgetting import source_forgetting
from tests.core.evaluation.test_worked_models import ColourSense, bright_above, evidence, flat


class GreenSense(ColourSense):
    """A backbone that has forgotten every colour but one."""

    name, width = "green-sense", 1

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, 3, H, W) to features (B, 1)."""
        return super().forward(images)[:, 1:2]


def test_what_was_forgotten_is_what_the_model_before_knew_of_the_source(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.evaluation.evidence.foundation_models", lambda _: (ColourSense(),))
    green = np.random.default_rng(0).integers(100, 130, 40)
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    source = evidence([flat(30, one, 220) if number % 2 else flat(220, one, 30) for number, one in enumerate(green)],
                      "ab" * 20, tmp_path / "old")
    target = evidence([flat(number, 200, 0) for number in range(7)], "cdcdcdc", tmp_path / "new",
                      classifier=bright_above(0.5), adapted=True)
    found = source_forgetting(dataclasses.replace(target, source=source, backbones=(GreenSense(),)))
    figures = found.figures
    assert figures["bcubed_precision_before"] == figures["nearest_neighbours_before"] == 1.0
    assert figures["bcubed_precision_after"] < 0.7 and figures["nearest_neighbours_after"] < 0.8
    for name in ("bcubed_precision", "nearest_neighbours"):
        assert figures[f"{name}_lost"] == pytest.approx(1.0 - figures[f"{name}_after"])
    assert found.images == 40


def test_a_probe_that_stands_in_for_a_classifier_is_asked_about_the_fold_it_was_not_fitted_to(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    found = evidence([flat(*random.integers(0, 256, 3)) for _ in range(40)], "ab" * 20, tmp_path, sample=5)
    classifier, asked = probe.judge(found)
    shown = found.folds != 0
    expected = probe.fit(found.features[shown], found.truth[shown])
    assert np.allclose(classifier.members[0].weight.numpy(), expected.weight, rtol=1e-4)
    assert len(asked) == 5 and (found.folds[asked] == 0).all()
