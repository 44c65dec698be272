"""The distance of the global answer to the local ones."""

from __future__ import annotations

import pytest
import torch

from core.losses.alignment import squared_distance

CLASS_TOKEN = torch.tensor([[1.0, 0.0]])
HIDDEN = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]])  # squared distances 0, 2, 4


def test_all_hidden_patches_count_by_default():
    assert squared_distance(CLASS_TOKEN, HIDDEN).item() == pytest.approx(2.0)


@pytest.mark.parametrize(("nearest", "expected"), [(1, 0.0), (2, 1.0), (3, 2.0), (10, 2.0)])
def test_only_the_nearest_count_when_asked(nearest: int, expected: float):
    assert squared_distance(CLASS_TOKEN, HIDDEN, nearest).item() == pytest.approx(expected)


def test_both_sides_are_drawn_to_each_other():
    globally, locally = CLASS_TOKEN.clone().requires_grad_(), HIDDEN.clone().requires_grad_()
    squared_distance(globally, locally).sum().backward()
    assert globally.grad is not None
    assert locally.grad is not None
    assert globally.grad.abs().sum() > 0
    assert locally.grad.abs().sum() > 0
