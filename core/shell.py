"""A run in a terminal: a progress bar or one JSON object a line, and Ctrl-C that stops cleanly."""

from __future__ import annotations

import dataclasses
import json
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Protocol, TextIO

import torch
from tqdm import tqdm

from core.errors import Cancelled, ConfigError
from core.pictures import Pictures
from core.randomness import seeded
from core.run import Progress
from core.training.checkpoint import Checkpoints

if TYPE_CHECKING:
    from core.run import Run

QUIET_SECONDS = 0.5
"""Reports of one stage that follow each other faster than this are not written as JSON."""


class Listener(Protocol):
    """Whoever is told how a run goes. For reading, not for inheriting."""

    def progress(self, progress: Progress) -> None:
        """Take one report."""
        ...

    def note(self, text: str) -> None:
        """Take one sentence a person should read."""
        ...

    def result(self, title: str, values: Mapping[str, object]) -> None:
        """Take what came out."""
        ...

    def table(self, title: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Take several things of one kind; each row has the same columns, None where there is nothing."""
        ...


class Bar:
    """Listens for a person: a bar and notes on one stream, the result on the other."""

    def __init__(self, output: TextIO, errors: TextIO) -> None:
        self._output, self._errors = output, errors
        self._bar: tqdm[None] | None = None

    def progress(self, progress: Progress) -> None:
        """Move the bar; what counts to another total, or from the start again, gets a bar of its own."""
        if self._bar is None or self._bar.total != progress.total or progress.step < self._bar.n:
            self.close()
            self._bar = tqdm(total=progress.total, file=self._errors, dynamic_ncols=True)
        self._bar.set_description(progress.stage, refresh=False)
        shown = {name: f"{value:.4g}" for name, value in progress.terms.items()}
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update(progress.step - self._bar.n)

    def note(self, text: str) -> None:
        """Write a sentence above the bar."""
        tqdm.write(text, file=self._errors)

    def result(self, title: str, values: Mapping[str, object]) -> None:
        """Write a small table."""
        self.close()
        width = max((len(name) for name in values), default=0)
        self._output.write(f"{title}\n")
        for name, value in values.items():
            self._output.write(f"  {name.replace('_', ' '):<{width}}  {_shown(value)}\n")

    def table(self, title: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Write a line a row, with headings; columns without any value are left out."""
        self.close()
        columns = [name for name in (rows[0] if rows else ()) if any(row[name] is not None for row in rows)]
        lines = [[name.replace("_", " ") for name in columns]]
        lines += [[_shown(row[name]) for name in columns] for row in rows]
        widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
        self._output.write(f"{title}\n")
        for line in lines:
            cells = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
            self._output.write(f"  {cells.rstrip()}\n")

    def close(self) -> None:
        """End the bar's line."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class JsonLines:
    """Listens for a program: one JSON object a line."""

    def __init__(self, output: TextIO) -> None:
        self._output = output
        self._last: tuple[str, float] = ("", 0.0)

    def progress(self, progress: Progress) -> None:
        """Write a report, at most two a second and stage, and always a stage's last."""
        now = time.monotonic()
        stage, written = self._last
        if progress.stage == stage and now - written < QUIET_SECONDS and progress.step < progress.total:
            return
        self._last = (progress.stage, now)
        self._write({"event": "progress", **dataclasses.asdict(progress)})

    def note(self, text: str) -> None:
        """Write a sentence."""
        self._write({"event": "note", "text": text})

    def result(self, title: str, values: Mapping[str, object]) -> None:
        """Write what came out."""
        self._write({"event": "result", "title": title, **values})

    def table(self, title: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Write an object a row."""
        for row in rows:
            self.result(title, row)

    def _write(self, line: Mapping[str, object]) -> None:
        self._output.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._output.flush()


class LocalRun:
    """The surroundings of a method in a terminal or a test; a `core.run.Run`.

    Attributes:
        cancel_requested: set to stop at the next report.
    """

    def __init__(self, *, device: torch.device, seed: int, folder: Path, listener: Listener | None = None,
                 pictures: Path | None = None) -> None:
        self.device = device
        self.seed = seed
        self.folder = folder
        self.checkpoints = Checkpoints(folder)
        self.pictures = Pictures(pictures or folder / "pictures")
        self.memory_share = 1.0
        self.cancel_requested = False
        self._listener = listener

    def generator(self, purpose: str) -> torch.Generator:
        """Return a CPU generator seeded by the run's seed and `purpose`."""
        return seeded(self.seed, purpose)

    def report(self, progress: Progress) -> None:
        """Tell the listener; raise `Cancelled` when asked to stop."""
        if self._listener is not None:
            self._listener.progress(progress)
        if self.cancel_requested:
            raise Cancelled

    @contextmanager
    def stopped_by_ctrl_c(self) -> Iterator[None]:
        """Let the first Ctrl-C stop the run at its next report, and the second one at once."""
        before = signal.getsignal(signal.SIGINT)

        def stop(_signal: int, _frame: FrameType | None) -> None:
            self.cancel_requested = True
            signal.signal(signal.SIGINT, before)

        signal.signal(signal.SIGINT, stop)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


def _shown(value: object) -> str:
    """Return a value as a person reads it; an accuracy or a difference with its ends beside it."""
    if isinstance(value, Mapping):
        if "value" in value:
            return f"{value['value']:+.2f} ({value['low']:+.2f} to {value['high']:+.2f})"
        return f"{value['accuracy']:.2f} ({value['low']:.2f}–{value['high']:.2f})"
    return "–" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)


def best_device(name: str = "auto") -> torch.device:
    """Return the device called `name`; "auto" takes a CUDA device where there is one.

    Raises:
        ConfigError: for one that is not there.
    """
    there = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    if name == "auto":
        name = "cuda" if len(there) > 1 else "cpu"
    if torch.backends.mps.is_available():
        there.append("mps")
    if (f"{name}:0" if name == "cuda" else name) not in there:
        raise ConfigError("device", f"{name} is not here; choose auto or one of {', '.join(there)}")
    return torch.device(name)


if TYPE_CHECKING:
    _: type[Run] = LocalRun
