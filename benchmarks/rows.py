"""Committed measurements: one JSON object a line, one line a cell, never measured twice."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeVar

import torch

from core.backbones.weights import BUNDLED

RESULTS = Path(__file__).parent / "results"
RowT = TypeVar("RowT", "Row", "SizeRow", "TrialRow")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measured cell.

    Attributes:
        target, method, seed: the cell.
        settings: what the method was given, as `core.catalog.parse` accepts it.
        metrics: shares in 0 … 1, by name.
        label_free_score: of the result, or None where the method has none.
        seconds: of the method: wall time, or of the processor where the bench says so.
        weights: first digits of the SHA-256 of the backbone's weight file: other weights, other row.
        label_free: what the answers show without labels, by name (`core.evaluation.signals`); rows from
            before 2026-11-21 have none.
        attempt: whether it was tried to better a result, and is no method of the tables.
        processor: what computed it (`processor`): seconds may be compared within one. Rows from before 2026-12-01 do
            not say.
    """

    target: str
    method: str
    seed: int
    settings: dict[str, object]
    metrics: dict[str, float]
    label_free_score: float | None
    seconds: float
    weights: str
    label_free: dict[str, float] = field(default_factory=dict)
    attempt: bool = False
    processor: str = ""

    @property
    def cell(self) -> tuple[str, str, int, str]:
        """Return what makes a second measurement unnecessary."""
        return self.target, self.method, self.seed, self.weights


@dataclass(frozen=True, kw_only=True)
class SizeRow:
    """A few steps of a method on a model of the papers' sizes, with weights at random: does it run, and how fast.

    Attributes:
        backbone, method, preset, machine: the cell.
        steps, images: how many, of how many images.
        seconds: wall time of the run.
        images_per_second: at the end of the steps; None for a method that makes none.
        peak_memory_bytes: of the GPU, or resident.
    """

    backbone: str
    method: str
    preset: str
    machine: str
    steps: int
    images: int
    seconds: float
    images_per_second: float | None
    peak_memory_bytes: int

    @property
    def cell(self) -> tuple[str, str, str, str]:
        """Return what makes a second measurement unnecessary."""
        return self.backbone, self.method, self.preset, self.machine


@dataclass(frozen=True, kw_only=True)
class TrialRow:
    """Something that was done to a running labelfree to break it, and what became of it.

    Attributes:
        kind, trial: the cell: what was done ("kill web while it receives"), and which time, counted from 0.
        count: how many things were done in this trial: files sent, requests made, processes killed.
        wrong: what went wrong, a sentence each; empty where nothing did.
        figures: what was measured, by name with its unit ("noticed_seconds").
        version: the first digits of the commit that it was done to.
    """

    kind: str
    trial: int
    count: int
    wrong: list[str]
    version: str
    figures: dict[str, float] = field(default_factory=dict)

    @property
    def cell(self) -> tuple[str, int]:
        """Return what makes a second measurement unnecessary."""
        return self.kind, self.trial


def read(file: Path) -> list[Row]:
    """Return the accuracies of a file, oldest first; none where there is no file."""
    return _read(file, Row)


def read_sizes(file: Path) -> list[SizeRow]:
    """Return the sizes of a file, oldest first; none where there is no file."""
    return _read(file, SizeRow)


def read_trials(file: Path) -> list[TrialRow]:
    """Return the trials of a file, oldest first; none where there is no file."""
    return _read(file, TrialRow)


def _read(file: Path, kind: type[RowT]) -> list[RowT]:
    """Return the rows of a file."""
    if not file.exists():
        return []
    return [kind(**json.loads(line)) for line in file.read_text().splitlines()]


def append(file: Path, row: Row | SizeRow | TrialRow) -> None:
    """Add one row at the end, flushed before returning."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as stream:
        stream.write(json.dumps(asdict(row)) + "\n")


def current(rows: list[Row]) -> Iterator[Row]:
    """Yield the rows measured with the newest weights of the file."""
    newest = rows[-1].weights if rows else ""
    yield from (row for row in rows if row.weights == newest)


def processor() -> str:
    """Return what computes here: the GPU, or the model of the CPU and the widest instructions that torch uses of it."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
    return f"{model}, {torch.backends.cpu.get_cpu_capability()}"


def weights_digest(backbone: str) -> str:
    """Return the first digits of the SHA-256 of a bundled backbone's weights."""
    return hashlib.sha256((BUNDLED / f"{backbone}.safetensors").read_bytes()).hexdigest()[:12]
