"""Who votes among the nearest images."""

from __future__ import annotations

import torch

from core.evaluation import neighbours


def test_ten_neighbours_vote_and_nobody_for_himself() -> None:
    turned = torch.linspace(0, 0.1, 12)
    features = torch.stack([turned.cos(), turned.sin()], dim=1)
    labels = torch.tensor([0] + [1] * 10 + [0])
    assert neighbours.vote(features, labels, features[:1]).tolist() == [1], "of its ten nearest nine say so"
    pairs = torch.eye(2).repeat_interleave(2, dim=0)
    assert neighbours.vote(pairs, torch.tensor([0, 1, 0, 1]), pairs, 1, leave_out_itself=True).tolist() == [1, 0, 1, 0]
