"""What core's tests share: starters of random weights and a small collection of real digits."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.data.images import ImageSet, open_images
from tests.core import random_weights


@pytest.fixture(scope="session")
def random_starters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write starter-clip and starter-mae at random, in the bundled format; return their folder."""
    return random_weights.write_starters(tmp_path_factory.mktemp("weights"))


@pytest.fixture
def starters(random_starters: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let `load_backbone` find the random starters before the bundled ones."""
    monkeypatch.setenv("LABELFREE_WEIGHTS", str(random_starters))
    return random_starters


@pytest.fixture
def digit_images(digits: tuple[Path, list[int]], tmp_path: Path) -> ImageSet:
    """Return 60 of scikit-learn's digits as a set of images."""
    images, refused = open_images(digits[0], tmp_path / "unpacked")
    assert not refused
    return images
