"""The loop on a problem of one line: order, progress, divergence, checkpoints and resume."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from core.errors import Cancelled, CheckpointError, Diverged
from core.shell import LocalRun
from core.training import loop
from core.training.loop import Answers, Stage, train
from tests.core.recorder import Recorder


class Problem:
    """Two stages of fitting a line, whose batches are functions of the step."""

    def __init__(self, folder: Path, identity: str = "one run") -> None:
        self.recorder = Recorder()
        self.run = LocalRun(device=torch.device("cpu"), seed=0, folder=folder, listener=self.recorder)
        self.model = nn.Linear(4, 1, bias=False)
        nn.init.zeros_(self.model.weight)
        self.follower = torch.zeros(1, 4)
        self.identity = identity
        self.steps_made: list[tuple[str, int]] = []
        self.stop_after: int | None = None
        self.break_at: int | None = None

    def batches(self, first: int) -> Iterator[torch.Tensor]:
        for step in range(first, 1000):
            yield torch.randn(8, 4, generator=torch.Generator().manual_seed(step))

    def stage(self, name: str, first: int, steps: int, total: int) -> Stage[torch.Tensor]:
        optimiser = torch.optim.AdamW(self.model.parameters())

        def objective(batch: torch.Tensor) -> dict[str, torch.Tensor]:
            error = (self.model(batch) - batch.sum(dim=1, keepdim=True)).square().mean()
            broken = self.break_at is not None and len(self.steps_made) == self.break_at
            return {"loss": error * math.nan if broken else error, "error": error * math.nan if broken else error}

        def after_step(step: int) -> None:
            self.steps_made.append((name, step))
            self.follower.lerp_(self.model.weight.detach(), 0.5)
            if self.stop_after is not None and len(self.steps_made) >= self.stop_after:
                raise KeyboardInterrupt  # as good as a kill: nothing of the loop's runs after it

        return Stage(
            name=name, first=first, steps=steps, total=total, images_per_step=8, batches=self.batches,
            learning_rate=lambda step: 0.1 / (step + 1), objective=objective, optimiser=optimiser,
            after_step=after_step,
            answers=lambda: Answers(histogram=(3, 5), samples=((0, 1, 0.5),)),
            memory={"weight": self.model.weight, "follower": self.follower}, identity=self.identity)

    def both(self) -> Problem:
        train(self.stage("warming up", 0, 20, 50), self.run)
        train(self.stage("adapting", 20, 30, 50), self.run)
        return self


def test_it_learns_and_reports_from_the_beginning_to_the_end(tmp_path: Path):
    problem = Problem(tmp_path).both()
    steps = [report.step for report in problem.recorder.reports]
    assert steps == sorted(steps)
    assert {report.total for report in problem.recorder.reports} == {50}
    last = problem.recorder.reports[-1]
    assert (last.stage, last.step, last.histogram, last.samples) == ("adapting", 50, (3, 5), ((0, 1, 0.5),))
    assert last.terms.keys() == {"loss", "error"}
    assert last.images_per_second is not None
    assert last.images_per_second > 0
    assert last.terms["loss"] < problem.recorder.reports[1].terms["loss"]


def test_reports_are_about_a_second_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += 0.05
        return now

    monkeypatch.setattr(loop.time, "monotonic", clock)
    problem = Problem(tmp_path)
    train(problem.stage("adapting", 0, 200, 200), problem.run)
    assert 10 <= len(problem.recorder.reports) <= 45


def test_checkpoints_are_at_most_a_tenth_of_the_run_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    problem = Problem(tmp_path)
    saved: list[int] = []
    monkeypatch.setattr(problem.run.checkpoints, "save", lambda state, step: saved.append(step))
    problem.both()
    assert saved == [*range(5, 51, 5)]


def test_and_at_most_five_minutes_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    problem = Problem(tmp_path)
    saved: list[int] = []
    monkeypatch.setattr(problem.run.checkpoints, "save", lambda state, step: saved.append(step))
    monkeypatch.setattr(loop, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    train(problem.stage("adapting", 0, 30, 300), problem.run)
    assert saved == [*range(1, 31)]


@pytest.mark.parametrize("killed_after", [3, 19, 20, 21, 33, 49])
def test_a_killed_run_repeats_at_most_a_tenth_and_ends_as_an_unbroken_one(tmp_path: Path, killed_after: int):
    unbroken = Problem(tmp_path / "unbroken").both()
    killed = Problem(tmp_path / "killed")
    killed.stop_after = killed_after
    with pytest.raises(KeyboardInterrupt):
        killed.both()
    resumed = Problem(tmp_path / "killed").both()
    assert len(killed.steps_made) + len(resumed.steps_made) - 50 <= 5
    assert torch.equal(resumed.model.weight, unbroken.model.weight)
    assert torch.equal(resumed.follower, unbroken.follower)
    assert resumed.recorder.reports[-1].step == 50


def test_a_finished_run_makes_no_step_again(tmp_path: Path):
    first = Problem(tmp_path).both()
    again = Problem(tmp_path).both()
    assert not again.steps_made
    assert torch.equal(again.model.weight, first.model.weight)
    assert again.recorder.reports[-1].step == 50


def test_it_refuses_another_run_s_checkpoint(tmp_path: Path):
    Problem(tmp_path).both()
    with pytest.raises(CheckpointError, match="other settings"):
        Problem(tmp_path, identity="another run").both()


def test_a_term_that_is_not_finite_is_named_before_it_reaches_a_weight(tmp_path: Path):
    problem = Problem(tmp_path)
    problem.break_at = 7
    with pytest.raises(Diverged, match="error is nan at step 7 of warming up: lower the learning rate"):
        problem.both()
    assert problem.model.weight.isfinite().all()


def test_weights_that_a_gradient_spoilt_are_not_kept(tmp_path: Path):
    problem = Problem(tmp_path)
    stage = problem.stage("warming up", 0, 20, 20)

    def objective(batch: torch.Tensor) -> dict[str, torch.Tensor]:
        error = problem.model(batch).mean().square()
        spoilt = (problem.model.weight * 0).abs().sum().sqrt() if len(problem.steps_made) == 19 else 0.0
        return {"loss": error + spoilt}  # a root is finite at 0, and its slope is not

    with pytest.raises(Diverged, match="a weight is nan at step 19 of warming up"):
        train(dataclasses.replace(stage, objective=objective), problem.run)
    kept = problem.run.checkpoints.load()
    assert kept is not None and kept["memory/weight"].isfinite().all()


def test_it_stops_at_the_next_report_when_asked(tmp_path: Path):
    problem = Problem(tmp_path)
    problem.run.cancel_requested = True
    with pytest.raises(Cancelled):
        problem.both()
    assert not problem.steps_made
