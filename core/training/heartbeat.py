"""A run that can be told again where it is, so that a step of minutes hears a request to stop."""

from __future__ import annotations

import dataclasses
import time

from core.run import Progress, Run
from core.training.within import Within

SECONDS_BETWEEN_BEATS = 1.0


class Heartbeat(Within):
    """A run that says again, on demand, where it was at its last report."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._last: Progress | None = None
        self._reported_at = 0.0

    def report(self, progress: Progress) -> None:
        """Tell the run; raises `Cancelled` when asked to stop."""
        self._last, self._reported_at = progress, time.monotonic()
        super().report(progress)

    def beat(self) -> None:
        """Say so if the last report is a second old; call it between the pieces of a long step.

        What that step saw is not said again: it would be drawn as a second point.
        """
        if self._last is not None and time.monotonic() - self._reported_at >= SECONDS_BETWEEN_BEATS:
            self.report(dataclasses.replace(self._last, terms={}, histogram=(), samples=()))
