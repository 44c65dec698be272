"""What core's tests share: starters of random weights and a small collection of real digits."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from core.__main__ import main
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


@pytest.fixture(scope="module")
def made(random_starters: Path, digits: tuple[Path, list[int]], digit_names: tuple[str, ...],
         tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with three runs: zero-shot by one sentence a name, by seven, and k-means without names."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "names.txt").write_text("\n".join(digit_names))
    named = ["--images", str(digits[0]), "--names", str(folder / "names.txt")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABELFREE_WEIGHTS", str(random_starters))
        for name, templates in (("one", "one"), ("seven", "simple-7")):
            assert main(["adapt", *named, "--set", f"templates={templates}", "--out", str(folder / name)]) == 0
        assert main(["adapt", "--images", str(digits[0]), "--method", "kmeans", "--classes", "10",
                     "--out", str(folder / "groups")]) == 0
    return folder


@pytest.fixture
def runs(made: Path, tmp_path: Path) -> Path:
    """Return a copy of the three runs to write into."""
    return Path(shutil.copytree(made, tmp_path / "runs"))
