"""A part of a run that counts its own steps, told to the run as so many of the whole's."""

from __future__ import annotations

import dataclasses

from core.run import Progress, Run
from core.training.within import Within


class Part(Within):
    """A run whose reports, from 0 to their total, become steps `first` … `first + steps` of `total`."""

    def __init__(self, run: Run, *, first: int, steps: int, total: int) -> None:
        super().__init__(run)
        self._first, self._steps, self._total = first, steps, total

    def report(self, progress: Progress) -> None:
        """Tell the run; raises `Cancelled` when asked to stop."""
        step = self._first + progress.step * self._steps // progress.total
        super().report(dataclasses.replace(progress, step=step, total=self._total))
