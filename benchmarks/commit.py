"""Which commit is measured."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

SOURCES = Path(__file__).parents[1]


def current() -> str:
    """Return the first digits of the commit of the sources; with a plus where they were changed since."""
    digits = _git("rev-parse", "--short=8", "HEAD").stdout.strip()
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!benchmarks/results").stdout.strip()
    return f"{digits or 'unknown'}{'+' if changed else ''}"


def unchanged_since(version: str, files: Iterable[str]) -> bool:
    """Tell whether these files are what they were at a commit; not, where it is not known here."""
    return not version.endswith("+") and _git("diff", "--quiet", version, "--", *files).returncode == 0


def _git(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *words], cwd=SOURCES, capture_output=True, text=True, check=False)
