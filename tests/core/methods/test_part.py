"""What stands before a run hands on all that a method may know of its surroundings."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch

from core.methods.part import Part
from core.run import Run
from core.shell import LocalRun
from core.training.heartbeat import Heartbeat


@pytest.mark.parametrize("wrap", [partial(Part, first=0, steps=1, total=1), Heartbeat], ids=["part", "heartbeat"])
def test_nothing_of_the_run_is_lost(wrap: Callable[[Run], Run], tmp_path: Path):
    run = LocalRun(device=torch.device("cpu"), seed=3, folder=tmp_path)
    run.memory_share = 0.25
    wrapped = wrap(run)
    assert {"device", "checkpoints", "memory_share"} <= Run.__annotations__.keys()
    for name in Run.__annotations__:
        assert getattr(wrapped, name) is getattr(run, name), name
