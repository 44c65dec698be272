"""Random starters for every command, and the names of the digits in a file."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _random_starters(starters: Path) -> None:
    """Let every command find the random starters."""


@pytest.fixture
def names(tmp_path: Path, digit_names: tuple[str, ...]) -> Path:
    """Write the class names."""
    file = tmp_path / "names.txt"
    file.write_text("\n".join(digit_names), encoding="utf-8")
    return file
