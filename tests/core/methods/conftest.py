"""Small models for the tests of methods, as most of what they ask does not depend on size; and sixty digits to sort."""

from __future__ import annotations

from pathlib import Path
from shutil import copy

import pytest

from core.data.images import ImageSet, open_images
from core.methods.must_objective import Batch
from core.problem import Problem
from core.shell import LocalRun
from core.training import loop
from tests.core.tiny_clip import write_shapes, write_tiny_clip


@pytest.fixture(scope="session")
def tiny_weights(random_starters: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a tiny untaught starter-clip beside the random starter-mae; return their folder."""
    folder = write_tiny_clip(tmp_path_factory.mktemp("tiny"))
    for file in random_starters.glob("starter-mae.*"):
        copy(file, folder)
    return folder


@pytest.fixture
def tiny_starters(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let `load_backbone` find them."""
    monkeypatch.setenv("LABELFREE_WEIGHTS", str(tiny_weights))
    return tiny_weights


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    """Draw 38 shapes: three batches of twelve and two over."""
    folder = tmp_path_factory.mktemp("shapes")
    write_shapes(folder, 38)
    return open_images(folder, folder)[0]


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch) -> list[loop.Stage[Batch]]:
    """Record the stages that the loop is given, and let it run them."""
    found: list[loop.Stage[Batch]] = []
    train = loop.train

    def watch(stage: loop.Stage[Batch], run: LocalRun) -> None:
        found.append(stage)
        train(stage, run)

    monkeypatch.setattr(loop, "train", watch)
    return found


@pytest.fixture(scope="module")
def images(digits, tmp_path_factory) -> ImageSet:
    """Open the digits once for a module."""
    return open_images(digits[0], tmp_path_factory.mktemp("unpacked"))[0]


@pytest.fixture
def problem(images: ImageSet, digit_names: tuple[str, ...], starters: Path) -> Problem:
    """Ask which digit each is, where the random starters are found."""
    return Problem(images=images, class_names=digit_names)


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> list[loop.Stage[Batch]]:
    """Record the stages that the loop is given, and run none."""
    found: list[loop.Stage[Batch]] = []
    monkeypatch.setattr(loop, "train", lambda stage, _run: found.append(stage))
    return found
