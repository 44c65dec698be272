"""Small models for the tests of methods: most of what they ask does not depend on a model's size."""

from __future__ import annotations

from pathlib import Path
from shutil import copy

import pytest

from tests.core.tiny_clip import write_tiny_clip


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
