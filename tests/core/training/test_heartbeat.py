"""A long step says again where the run is, and not again what it saw."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from core.errors import Cancelled
from core.run import Progress
from core.shell import LocalRun
from core.training import heartbeat
from core.training.heartbeat import Heartbeat


def test_a_beat_says_where_the_run_is_and_not_again_what_the_step_saw(
        monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    heard: list[Progress] = []
    listener = SimpleNamespace(progress=heard.append)
    local = LocalRun(device=torch.device("cpu"), seed=0, folder=tmp_path, listener=listener)
    run = Heartbeat(local)
    run.beat()
    assert heard == [], "nothing to repeat yet"
    seen = Progress(stage="adapting", step=1, total=30, images_per_second=7.0, terms={"loss": 0.5},
                    histogram=(3, 4), samples=((0, 1, 0.9),))
    run.report(seen)
    run.beat()
    assert heard == [seen], "a second has not gone by"
    monkeypatch.setattr(heartbeat, "SECONDS_BETWEEN_BEATS", 0.0)
    run.beat()
    assert heard[1:] == [Progress(stage="adapting", step=1, total=30, images_per_second=7.0)]
    local.cancel_requested = True
    with pytest.raises(Cancelled):
        run.beat()
