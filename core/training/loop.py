"""The one training loop: steps, checkpoints, resume, progress and the refusal to go on with nonsense.

A method hands it an *objective*: a function of a batch that returns named terms, of which "loss" is
minimised and the others are reported. The loop knows nothing of what a batch is.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from core.errors import CheckpointError, Diverged
from core.run import Progress, Run
from core.training.optim import set_rate

BatchT = TypeVar("BatchT")

CHECKPOINTS_A_RUN = 10
SECONDS_BETWEEN_CHECKPOINTS = 300.0
SECONDS_BETWEEN_REPORTS = 1.0


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What the model says of the images at the moment, for the page to show (see `Progress`)."""

    histogram: tuple[int, ...] = ()
    samples: tuple[tuple[int, int, float], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Stage(Generic[BatchT]):
    """One stage of a run, told in the order in which a step does it.

    Attributes:
        name: what a person reads while it lasts ("adapting").
        first: the step of the whole run at which it begins.
        steps: its number of steps.
        total: steps of the whole run, over all stages.
        images_per_step: the effective batch.
        batches: of a step of this stage, the batches from that step on; the same ones whenever asked.
        learning_rate: of a step of this stage, before each group's own scale.
        objective: of a batch, its terms; "loss" is minimised, the others only reported.
        optimiser: of the parameters that learn.
        after_step: called with the step just made (the teacher follows here).
        answers: what to show; called about once a second.
        memory: the tensors which, with the optimiser's and the step, are all that the stage's future
            depends on: saved at checkpoints, restored in place.
        identity: says which settings, images and seed a checkpoint belongs to.
    """

    name: str
    first: int = 0
    steps: int
    total: int
    images_per_step: int
    batches: Callable[[int], Iterator[BatchT]]
    learning_rate: Callable[[int], float]
    objective: Callable[[BatchT], Mapping[str, Tensor]]
    optimiser: torch.optim.Optimizer
    after_step: Callable[[int], None] = lambda _step: None
    answers: Callable[[], Answers] = Answers
    memory: Mapping[str, Tensor] = field(default_factory=dict)
    identity: str = ""


def train(stage: Stage[BatchT], run: Run) -> None:
    """Run the stage from its beginning, or from the run's checkpoint, to its end.

    Raises:
        Diverged: naming the term that stopped being finite, before it reached any weight, or "a weight", before it is
            kept: the gradient of a finite loss may be none.
        Cancelled: out of `run.report`.
        CheckpointError: when a checkpoint cannot be written, read, or is another run's.
    """
    done = _resume(stage, run)
    run.report(Progress(stage=stage.name, step=stage.first + done, total=stage.total))
    if done == stage.steps:
        return
    pace = _Pace(stage, run, done)
    for step, batch in zip(range(done, stage.steps), stage.batches(done), strict=False):
        set_rate(stage.optimiser, stage.learning_rate(step))
        terms = stage.objective(batch)
        values = finite_values(terms, stage.first + step, stage.name)
        stage.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(terms["loss"])
        stage.optimiser.step()
        stage.after_step(step)
        pace.made(step + 1, values)


def finite_values(terms: Mapping[str, Tensor], step: int, stage: str) -> dict[str, float]:
    """Return the terms as numbers, in one transfer from the device.

    Raises:
        Diverged: naming the first term that is not finite; "loss", their sum, is asked last.
    """
    names = sorted(terms, key=lambda name: name == "loss")
    values = dict(zip(names, torch.stack([terms[name].detach().float() for name in names]).tolist(), strict=True))
    for name, value in values.items():
        if not math.isfinite(value):
            raise Diverged(name, value, step, stage)
    return values


def check_weights(stage: Stage[Any], step: int) -> None:
    """Refuse weights that are not finite.

    Raises:
        Diverged: naming "a weight".
    """
    if not all(bool(weight.isfinite().all()) for group in stage.optimiser.param_groups for weight in group["params"]):
        raise Diverged("a weight", math.nan, step, stage.name)


class _Pace:
    """Decides after every step whether to report and whether to save."""

    def __init__(self, stage: Stage[Any], run: Run, done: int) -> None:
        self.stage, self.run = stage, run
        self.steps_between = max(1, stage.total // CHECKPOINTS_A_RUN)
        self.saved_step, self.saved_at = done, time.monotonic()
        self.reported_at = -math.inf
        self.counted_step, self.counted_at = done, time.monotonic()

    def made(self, done: int, values: dict[str, float]) -> None:
        """Take note that `done` steps of the stage are made."""
        last, now = done == self.stage.steps, time.monotonic()
        wanted = self.run.checkpoints.is_wanted
        due = done - self.saved_step >= self.steps_between or now - self.saved_at >= SECONDS_BETWEEN_CHECKPOINTS
        if due or last or wanted:
            check_weights(self.stage, self.stage.first + done - 1)
            self.run.checkpoints.save(_state(self.stage), self.stage.first + done)
            self.saved_step, self.saved_at = done, time.monotonic()
        if last or wanted or now - self.reported_at >= SECONDS_BETWEEN_REPORTS:
            self.report(done, values, now)

    def report(self, done: int, values: dict[str, float], now: float) -> None:
        """Tell the run where the stage is and what it sees."""
        made, seconds = done - self.counted_step, max(1e-9, now - self.counted_at)
        answers = self.stage.answers()
        self.run.report(Progress(
            stage=self.stage.name, step=self.stage.first + done, total=self.stage.total,
            images_per_second=made * self.stage.images_per_step / seconds, terms=values,
            histogram=answers.histogram, samples=answers.samples))
        self.reported_at = time.monotonic()
        if seconds > 10:  # a pace of the recent past, not of the whole run
            self.counted_step, self.counted_at = done, self.reported_at


def _state(stage: Stage[Any]) -> dict[str, object]:
    """Return all that a checkpoint of the stage holds."""
    state: dict[str, object] = {"stage": stage.name, "identity": stage.identity}
    state |= {f"memory/{name}": tensor for name, tensor in stage.memory.items()}
    for index, entry in stage.optimiser.state_dict()["state"].items():
        state |= {f"optimiser/{index}/{name}": value for name, value in entry.items()}
    return state


def _resume(stage: Stage[Any], run: Run) -> int:
    """Restore the stage from the run's checkpoint; return how many of its steps are done."""
    state = run.checkpoints.load()
    if state is None:
        return 0
    if state["identity"] != stage.identity:
        raise CheckpointError(str(run.checkpoints.path), "belongs to a run with other settings, images, labels or "
                              "seed: delete it, or choose another folder")
    done = int(state["step"]) - stage.first
    if state["stage"] != stage.name:
        return stage.steps if done >= stage.steps else 0
    for name, tensor in stage.memory.items():
        with torch.no_grad():
            tensor.copy_(state[f"memory/{name}"])
    entries: dict[int, dict[str, object]] = {}
    for key, value in state.items():
        if key.startswith("optimiser/"):
            _, index, name = key.split("/")
            entries.setdefault(int(index), {})[name] = value
    groups = stage.optimiser.state_dict()["param_groups"]
    stage.optimiser.load_state_dict({"state": entries, "param_groups": groups})
    return done
