"""Tables written as CSV, for people and spreadsheets."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path


def write_table(destination: Path, rows: Iterable[Sequence[object]]) -> None:
    """Write rows, the first the header, whole or not at all; a folder that is not there is made."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    part = destination.with_name(destination.name + ".part")
    try:
        with part.open("w", encoding="utf-8", newline="") as stream:
            usual = csv.writer(stream, lineterminator="\n")
            quoting = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL)
            for row in rows:  # a carriage return without quotes would end it
                (quoting if any("\r" in cell for cell in row if isinstance(cell, str)) else usual).writerow(row)
        part.replace(destination)
    finally:
        part.unlink(missing_ok=True)
