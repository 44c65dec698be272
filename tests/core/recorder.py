"""A listener that keeps what it is told."""

from __future__ import annotations

from core.run import Progress


class Recorder:
    """Keeps the reports; a note or a result is a fault."""

    def __init__(self) -> None:
        self.reports: list[Progress] = []

    def progress(self, progress: Progress) -> None:
        self.reports.append(progress)

    def note(self, text: str) -> None:
        raise AssertionError(text)

    result = note
