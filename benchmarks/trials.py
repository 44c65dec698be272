"""The trials that are made and those that are still to make, in the file that keeps them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import rows
from benchmarks.client import say


@dataclass(frozen=True)
class Trials:
    """A file of trials, to which new ones are added as they end."""

    file: Path
    version: str

    def missing(self, kind: str, count: int = 1) -> Iterator[int]:
        """Yield the trials of a kind, of `count`, that are not in the file yet."""
        made = {row.trial for row in rows.read_trials(self.file) if row.kind == kind}
        yield from (trial for trial in range(count) if trial not in made)

    def add(self, kind: str, trial: int, count: int, wrong: Sequence[str], figures: Mapping[str, float]) -> None:
        """Write one trial down, with how busy the machine was, and say so."""
        told = {name: round(float(value), 3) for name, value in figures.items()}
        rows.append(self.file, rows.TrialRow(kind=kind, trial=trial, count=count, wrong=list(wrong),
                                             version=self.version, figures=told | {"load": round(load(), 1)}))
        shown = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in told.items())
        say(f"{'WRONG' if wrong else 'right'} {kind}, trial {trial}: {shown}")
        for one in wrong:
            say(f"      {one}")


def load() -> float:
    """Return how many processes wanted a processor in the last minutes, for each that there is."""
    return os.getloadavg()[1] / (os.cpu_count() or 1)


def version() -> str:
    """Return the first digits of the commit that is on trial."""
    return subprocess.run(["git", "rev-parse", "--short=7", "HEAD"], cwd=Path(__file__).parents[1], capture_output=True,
                          text=True, check=True).stdout.strip()
