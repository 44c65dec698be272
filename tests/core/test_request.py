"""What is asked of ``adapt``: which images are kept out of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from core.data.images import ImageSet, open_images
from core.request import AdaptRequest, held_out_of


def held_out(images: ImageSet, share: str, seed: int) -> set[int]:
    return held_out_of(AdaptRequest(images=Path(), out=Path(), held_out=share, seed=seed), images)


@pytest.mark.parametrize("seed", [0, 1])
def test_without_copies_a_share_is_the_first_of_a_seeded_order(digit_images: ImageSet, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(60)  # committed measurements were made with it
    assert held_out(digit_images, "0.2", seed) == set(order[:12].tolist())


def test_copies_are_held_out_together_and_no_more_than_the_share(
        digits: tuple[Path, list[int]], tmp_path: Path) -> None:
    for number, path in enumerate(sorted(digits[0].iterdir())[:8]):
        for copy in range(number + 1):
            shutil.copy(path, tmp_path / f"{copy}-{path.name}")
    images, _ = open_images(tmp_path, tmp_path)
    contents = np.array([path.read_bytes() for path in images.paths])
    seen = set()
    for seed in range(12):
        out = held_out(images, "0.25", seed)
        inside = np.isin(np.arange(len(images)), sorted(out))
        assert 0 < len(out) <= 9
        assert not set(contents[inside]) & set(contents[~inside])
        assert held_out(images, "0.25", seed) == out
        seen.add(frozenset(out))
    assert len(seen) > 2
