"""The map: images with similar features lie together, and images that are alike in one place."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.evaluation.places import map_places


@pytest.mark.parametrize("count", [1, 4, 5, 60])
@pytest.mark.parametrize("off", [0.0, 1e-8, 1e-7])
def test_images_that_are_all_alike_lie_in_one_place(count: int, off: float) -> None:
    noise = torch.randn(count, 8, generator=torch.Generator().manual_seed(0))
    assert (map_places(torch.ones(count, 8) + off * noise, 0) == 0.5).all()  # rounding errors are no difference


def test_one_image_that_is_not_alike_lies_apart() -> None:
    features = torch.ones(12, 8)
    features[7, 0] = 2
    places = map_places(features, 0)
    away = np.linalg.norm(places - places[7], axis=1)
    assert away.argmin() == 7
    assert np.delete(away, 7).min() > 0.1


@pytest.mark.parametrize("count", [4, 40])
def test_images_of_two_kinds_lie_in_two_heaps_that_fill_the_map(count: int) -> None:
    kind = torch.arange(count) % 2
    features = torch.eye(8)[kind] + 0.01 * torch.randn(count, 8, generator=torch.Generator().manual_seed(0))
    places = map_places(features, 0)
    assert (places.min(axis=0).tolist(), places.max(axis=0).tolist()) == ([0.0, 0.0], [1.0, 1.0])
    centres = np.stack([places[(kind == one).numpy()].mean(axis=0) for one in (0, 1)])
    assert (np.linalg.norm(places[:, None] - centres, axis=2).argmin(axis=1) == kind.numpy()).all()
