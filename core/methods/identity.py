"""Which run a checkpoint belongs to: one of other settings, images or names must not be gone on with."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

from core.catalog import Settings, TurtleSettings, learns_from_labels
from core.errors import CheckpointError
from core.problem import Problem
from core.run import Run

BEFORE = {"names_from_labels": False, "classifier_from": "groups"}
"""Settings that came later -> what a run did before."""


def identity(settings: Settings, problem: Problem, seed: int) -> str:
    """Return a digest of all that a run's answer depends on."""
    values = dataclasses.asdict(settings)
    for name, before in BEFORE.items():  # a run without is called what it was before there was that setting
        if values.get(name) == before:
            values.pop(name)
    if isinstance(settings, TurtleSettings) and settings.starts == 1:  # called what it was before there were starts
        values.pop("starts")
    labelled = sorted(problem.labelled.items()) if learns_from_labels(settings) else []
    said = [values, problem.images.fingerprint, problem.class_names, problem.num_classes, seed,
            problem.replay.fingerprint if problem.replay else "", labelled,
            problem.start.digest if problem.start else ""]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def kept_state(run: Run, own: str) -> dict[str, Any] | None:
    """Return the run's checkpoint, which must have been saved with ``"identity": own``, or None without one.

    Raises:
        CheckpointError: when it is another run's.
    """
    state = run.checkpoints.load()
    if state is not None and state.get("identity") != own:
        raise CheckpointError(str(run.checkpoints.path), "belongs to a run with other settings, images, classes, "
                              "labels, seed or beginning: repeat those, or delete it to start again")
    return state
