"""A run inside another: it passes everything on, and what tells differently overrides `report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from core.pictures import Pictures
from core.run import Progress, Run
from core.training.checkpoint import Checkpoints


class Within:
    """A `core.run.Run` that is the run it is given."""

    def __init__(self, run: Run) -> None:
        self.device: torch.device = run.device
        self.seed: int = run.seed
        self.folder: Path = run.folder
        self.checkpoints: Checkpoints = run.checkpoints
        self.pictures: Pictures = run.pictures
        self.memory_share: float = run.memory_share
        self._run = run

    def generator(self, purpose: str) -> torch.Generator:
        """Return the run's generator for `purpose`."""
        return self._run.generator(purpose)

    def report(self, progress: Progress) -> None:
        """Tell the run; raises `Cancelled` when asked to stop."""
        self._run.report(progress)


if TYPE_CHECKING:
    def _is_a_run(within: Within) -> Run:
        return within
