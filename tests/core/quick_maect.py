"""MAE-CT with settings that are quick: a run of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from core.catalog import parse
from core.classifier import Classifier
from core.methods.maect import adapt
from core.problem import Problem
from core.settings import Value
from core.shell import LocalRun
from tests.core.recorder import Recorder

QUICK: Mapping[str, Value] = {
    "epochs": 1.0, "preparing_epochs": 0.0, "batch_size": 20, "frozen_blocks": 3, "nearest": 2, "starts": 2,
    "base_learning_rate": 1e-2, "encoder_average": 0.5, "precision": "float32"}


def tuned(problem: Problem, folder: Path, recorder: Recorder | None = None, **switches: Value) -> Classifier:
    run = LocalRun(device=torch.device("cpu"), seed=0, folder=folder, listener=recorder)
    return adapt(parse("maect", {**QUICK, **switches}), problem, run)
