"""A part of a run that counts its own steps, told to the run as so many of the whole's."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from core.pictures import Pictures
from core.run import Progress, Run
from core.training.checkpoint import Checkpoints


class Part:
    """A `core.run.Run` whose reports, from 0 to their total, become steps `first` … `first + steps` of `total`."""

    def __init__(self, run: Run, *, first: int, steps: int, total: int) -> None:
        self.device: torch.device = run.device
        self.seed: int = run.seed
        self.folder: Path = run.folder
        self.memory_share: float = run.memory_share
        self.checkpoints: Checkpoints = run.checkpoints
        self.pictures: Pictures = run.pictures
        self._run, self._first, self._steps, self._total = run, first, steps, total

    def generator(self, purpose: str) -> torch.Generator:
        """Return the run's generator for `purpose`."""
        return self._run.generator(purpose)

    def report(self, progress: Progress) -> None:
        """Tell the run; raises `Cancelled` when asked to stop."""
        step = self._first + progress.step * self._steps // progress.total
        self._run.report(dataclasses.replace(progress, step=step, total=self._total))


if TYPE_CHECKING:
    def _is_a_run(part: Part) -> Run:
        return part
