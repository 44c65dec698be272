"""A run that can be told again where it is, so that a step of minutes hears a request to stop."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from core.pictures import Pictures
from core.run import Progress, Run
from core.training.checkpoint import Checkpoints

SECONDS_BETWEEN_BEATS = 1.0


class Heartbeat:
    """A `core.run.Run` that passes everything on, and repeats its last report on demand."""

    def __init__(self, run: Run) -> None:
        self.device: torch.device = run.device
        self.seed: int = run.seed
        self.folder: Path = run.folder
        self.checkpoints: Checkpoints = run.checkpoints
        self.pictures: Pictures = run.pictures
        self.memory_share: float = run.memory_share
        self._run = run
        self._last: Progress | None = None
        self._reported_at = 0.0

    def generator(self, purpose: str) -> torch.Generator:
        """Return the run's generator for `purpose`."""
        return self._run.generator(purpose)

    def report(self, progress: Progress) -> None:
        """Tell the run; raises `Cancelled` when asked to stop."""
        self._last, self._reported_at = progress, time.monotonic()
        self._run.report(progress)

    def beat(self) -> None:
        """Repeat the last report if it is a second old; call it between the pieces of a long step."""
        if self._last is not None and time.monotonic() - self._reported_at >= SECONDS_BETWEEN_BEATS:
            self.report(self._last)


if TYPE_CHECKING:
    def _is_a_run(heartbeat: Heartbeat) -> Run:
        return heartbeat
