"""The clusters of an adapted backbone as a linear head: the same answers, whatever the features are like."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from core.backbones.load import load_backbone
from core.methods import clusters
from core.methods.clusters import Start, standardised_clusters
from core.methods.kmeans import confidence_sharpness
from core.methods.spaces import Space
from core.shell import LocalRun


@pytest.mark.parametrize("constant", [0.0, 1.7, 50.7])
def test_a_feature_that_is_constant_says_nothing(constant: float, tmp_path: Path):
    features = torch.randn(500, 32, generator=torch.Generator().manual_seed(0))
    features[:, 7] = constant
    backbone = load_backbone("starter-mae")
    found = standardised_clusters(Space(backbone=backbone, features=features), 5, 3,
                                  LocalRun(device=torch.device("cpu"), seed=0, folder=tmp_path))
    member = found.member(backbone)
    assert torch.equal((features @ member.weight + member.bias).argmax(dim=1), found.labels)
    assert member.weight[7].eq(0).all()


def test_the_start_of_the_lowest_loss_is_kept_with_confidences_of_its_own_spread(
        starters: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    features = 5 * torch.randn(60, 192, generator=torch.Generator().manual_seed(0)) + 3
    drawn = np.random.default_rng(0).normal(size=(3, 2, 192))
    monkeypatch.setattr(clusters, "kmeans_starts", lambda *_: iter([
        Start(inertia=loss, centres=centres, labels=np.zeros(60, dtype=int))
        for loss, centres in zip((2.0, 1.0, 3.0), drawn, strict=True)]))
    found = standardised_clusters(Space(backbone=load_backbone("starter-mae"), features=features), 2, 3,
                                  LocalRun(device=torch.device("cpu"), seed=0, folder=tmp_path))
    torch.testing.assert_close(found.centres, torch.from_numpy(drawn[1]).float())
    points = (features - features.mean(dim=0)) / features.std(dim=0)
    apart = points - found.centres[torch.cdist(points, found.centres).argmin(dim=1)]
    assert found.sharpness == pytest.approx(confidence_sharpness(apart), rel=1e-4)
