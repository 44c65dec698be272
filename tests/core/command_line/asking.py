"""Calls of the command line, in a process of its own or here, and what it says and writes."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from core.__main__ import main

ROOT = Path(__file__).parents[3]
Digits = tuple[Path, list[int]]
QUICK_MUST = ("--method", "must", *(part for one in ("templates=one", "epochs=1", "batch_size=20", "mirror=no")
                                    for part in ("--set", one)))


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "core", *map(str, arguments)]


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    return subprocess.run(command(*arguments), cwd=ROOT, capture_output=True, text=True, check=False)


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str]:
    """Run the command here; return its exit code and what it said on stderr."""
    code = main([str(one) for one in arguments])
    return code, capsys.readouterr().err


def events_of(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> list[dict[str, object]]:
    """Run the command here with --json, which must succeed; return its events."""
    capsys.readouterr()
    assert main([*map(str, arguments), "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))
