"""Commands on runs that have ended: run one and read what it says, read labels, fill a sheet."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from core.__main__ import main


def command(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, list[dict[str, object]], str]:
    """Run a command with --json; return its exit code, its events and what it said on stderr."""
    capsys.readouterr()
    code = main([*map(str, arguments), "--json"])
    said = capsys.readouterr()
    return code, [json.loads(line) for line in said.out.splitlines()], said.err


def labels_of(file: Path) -> dict[str, str]:
    with file.open(encoding="utf-8", newline="") as stream:
        return {row["path"]: row["label"] for row in csv.DictReader(stream)}


def fill(sheet: Path, words: list[str]) -> Path:
    """Fill a sheet's labels in its order and save it elsewhere."""
    with sheet.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    filled = sheet.parents[2] / "filled.csv"
    lines = [f"{row['image']},{row['path']},{word}" for row, word in zip(rows, words, strict=True)]
    filled.write_text("\n".join(["image,path,label", *lines]) + "\n")
    return filled
