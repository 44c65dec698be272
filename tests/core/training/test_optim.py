"""Rates and groups."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from core.training.optim import cosine, parameter_groups, scaled_rate, set_rate


def test_the_rate_grows_with_batch_and_views():
    assert scaled_rate(2e-5, 1024) == pytest.approx(8e-5)
    assert scaled_rate(1e-4, 256, views=2) == pytest.approx(2e-4)


def test_the_cosine_starts_at_its_peak_passes_the_middle_and_never_falls_below_its_floor():
    rates = [cosine(step, 10, 1.0, 0.1) for step in range(10)]
    assert rates[0] == 1.0
    assert rates[5] == pytest.approx(0.55)
    assert rates == sorted(rates, reverse=True)
    assert min(rates) > 0.1


def test_a_warm_up_rises_in_a_line_to_the_peak():
    assert [cosine(step, 10, 1.0, 0.0, warm_up_steps=4) for step in range(5)] == pytest.approx([0, 0.25, 0.5, 0.75, 1])


def test_vectors_get_no_weight_decay_and_frozen_parameters_no_group():
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    model[2].requires_grad_(False)
    groups = parameter_groups(model.named_parameters(), weight_decay=0.05)
    assert {name: group["weight_decay"] for group in groups for name in group["names"]} == {
        "0.weight": 0.05, "0.bias": 0.0, "1.weight": 0.0, "1.bias": 0.0}


def test_earlier_layers_learn_slower():
    model = nn.Sequential(*(nn.Linear(2, 2, bias=False) for _ in range(3)))
    groups = parameter_groups(model.named_parameters(), weight_decay=0.0, layer_of=lambda name: int(name.split(".")[0]),
                              last_layer=2, layer_decay=0.5)
    optimiser = torch.optim.AdamW(groups)
    set_rate(optimiser, 0.8)
    assert [group["lr"] for group in optimiser.param_groups] == pytest.approx([0.2, 0.4, 0.8])
