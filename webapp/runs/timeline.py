"""A run's way as steps a person can follow, read from its row and its log."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from webapp.runs.models import Run

ATTEMPT_BEGINS = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d attempt \d+ of \d+ begins.*$", re.MULTILINE)
STAGE_LINE = re.compile(r"^(?P<at>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) stage: (?P<stage>.+)$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step: done, the one it is at, still to come, or where it ended badly."""

    name: str
    state: Literal["done", "current", "ahead", "failed", "cancelled"]


def timeline(run: Run) -> list[Step]:
    """Return the steps from the queue to the result."""
    newest_attempt = ATTEMPT_BEGINS.split(run.log)[-1]
    stages = list(dict.fromkeys(match["stage"] for match in STAGE_LINE.finditer(newest_attempt)))
    if run.status == Run.Status.RUNNING and run.stage and run.stage not in stages:
        stages.append(run.stage)
    if run.status == Run.Status.QUEUED:
        return [Step(name="queued", state="current"), *(Step(name=stage, state="ahead") for stage in stages),
                Step(name="result", state="ahead")]
    steps = [Step(name="queued", state="done"),
             *(Step(name=stage, state="current" if run.status == Run.Status.RUNNING and stage == run.stage else "done")
               for stage in stages)]
    if run.status == Run.Status.PAUSED:
        return [*steps, Step(name="paused", state="current"), Step(name="result", state="ahead")]
    if run.status == Run.Status.FAILED:
        return [*steps, Step(name="failed", state="failed")]
    if run.status == Run.Status.CANCELLED:
        return [*steps, Step(name="cancelled", state="cancelled")]
    return [*steps, Step(name="result", state="done" if run.status == Run.Status.SUCCEEDED else "ahead")]
