"""The clusters of an adapted backbone as a linear head: the same answers, whatever the features are like."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from core.backbones.load import load_backbone
from core.methods.clusters import standardised_clusters
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
