"""A listener that keeps what it is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from core.run import Progress


class Recorder:
    """Keeps the reports of a run, and calls `then` at each; unless told otherwise, a note or a result is a fault."""

    def __init__(self, then: Callable[[Progress], None] = lambda progress: None, *, reports_only: bool = True) -> None:
        self.reports: list[Progress] = []
        self.notes: list[str] = []
        self._then = then
        self._reports_only = reports_only

    @property
    def stages(self) -> list[str]:
        """The names of the stages in their order, each once."""
        return list(dict.fromkeys(report.stage for report in self.reports))

    @property
    def terms(self) -> dict[str, set[str]]:
        """The names of the terms that each stage reported."""
        return {stage: {term for report in self.reports if report.stage == stage for term in report.terms}
                for stage in self.stages}

    def progress(self, progress: Progress) -> None:
        """Keep a report."""
        self.reports.append(progress)
        self._then(progress)

    def note(self, text: str) -> None:
        """Keep a sentence."""
        assert not self._reports_only, text
        self.notes.append(text)

    def result(self, title: str, values: Mapping[str, object]) -> None:
        """Pass over what came out."""
        assert not self._reports_only, title
