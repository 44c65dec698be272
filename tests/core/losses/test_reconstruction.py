"""Hiding patches and recovering their pixels."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from core.losses.reconstruction import (
    absolute_error,
    hidden_patches,
    normalised_patches,
    patches,
    pictures,
    squared_error,
)


def test_patches_put_together_are_the_picture():
    images = torch.rand(2, 3, 8, 8)
    torch.testing.assert_close(pictures(patches(images, 4), 2, 4), images)


def test_patches_are_a_pixel_unshuffle():
    images = torch.rand(2, 3, 8, 8)
    torch.testing.assert_close(patches(images, 4), functional.pixel_unshuffle(images, 4).flatten(2).transpose(1, 2))


def test_the_error_is_the_mean_over_hidden_values_of_each_image():
    true = torch.zeros(2, 3, 4)
    recovered = torch.stack([torch.full((3, 4), 2.0), torch.tensor([[1.0, -1, 1, -1]] * 3)])
    assert absolute_error(recovered, true).tolist() == [2.0, 1.0]


@pytest.mark.parametrize(("ratio", "blocks"), [(0.3, 5), (0.25, 4), (0.01, 1), (0.95, 16)])
def test_every_image_hides_equally_many_whole_blocks(ratio: float, blocks: int):
    hidden = hidden_patches(5, 8, 2, ratio, torch.Generator().manual_seed(0))
    assert hidden.shape == (5, 64)
    assert hidden.sum(dim=1).tolist() == [4 * blocks] * 5
    whole = hidden.reshape(5, 4, 2, 4, 2).float().mean(dim=(2, 4))
    assert set(whole.unique().tolist()) <= {0.0, 1.0}


def test_images_hide_different_blocks_and_a_seed_repeats_them():
    first, again = (hidden_patches(32, 8, 2, 0.3, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, again)
    assert len({tuple(row.tolist()) for row in first}) > 16


def test_only_hidden_patches_count_and_the_normalised_truth_costs_nothing():
    draw = torch.Generator().manual_seed(0)
    true = normalised_patches(torch.rand(2, 3, 32, 32, generator=draw), 8)
    assert true.mean(dim=2).abs().max() < 1e-5
    hidden = torch.rand(2, 16, generator=draw) < 0.75
    assert float(squared_error(true + (~hidden)[..., None], true, hidden)) == 0
    assert float(squared_error(true + hidden[..., None], true, hidden)) == pytest.approx(1, abs=1e-4)
