"""What training every starter has in common: optimisers, schedule, averaged weights, resuming, a log line.

The learning rate warms up, stays, and falls linearly at the end (Hägele et al., 2024,
arXiv:2405.18392), so that a run can be made longer or shorter while it is on its way.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

log = logging.getLogger(__name__)

SECONDS_BETWEEN_CHECKPOINTS = 300.0
STEPS_BETWEEN_LINES = 100


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How many images or sentences are seen in all, and how the learning rate goes."""

    total: int
    warm_up_steps: int = 300
    decay_share: float = 0.35

    def factor(self, step: int, seen: int) -> float:
        """Return the learning rate as a share of its peak."""
        left = max(0.0, 1 - seen / self.total)
        return min(1.0, (step + 1) / self.warm_up_steps) * min(1.0, left / self.decay_share)


def best_device() -> torch.device:
    """Return the GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def precision(device: torch.device) -> AbstractContextManager[object]:
    """Return a context of bfloat16; on a CPU with plain attention, whose backward is the faster there."""
    stack = ExitStack()
    stack.enter_context(torch.autocast(device.type, torch.bfloat16))
    if device.type == "cpu":
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
    return stack


def optimisers(model: nn.Module, *, learning_rate: float, weight_decay: float, matrices_in: str,
               betas: tuple[float, float]) -> list[torch.optim.Optimizer]:
    """Return Muon for the matrices of the blocks and AdamW, at half the rate, for everything else.

    Muon: Jordan et al., 2024; scaled to AdamW's root mean square as in Liu et al., 2025, arXiv:2502.16982.

    Args:
        model: on its device.
        learning_rate: Muon's peak.
        weight_decay: of matrices; biases, norms and vectors have none.
        matrices_in: what the names of the blocks' parameters contain; "" gives AdamW alone, at the full rate.
        betas: AdamW's.
    """
    matrices = [p for name, p in model.named_parameters() if matrices_in and matrices_in in name and p.ndim == 2]
    chosen = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    groups = [{"params": [p for p in rest if p.ndim >= 2], "weight_decay": weight_decay},
              {"params": [p for p in rest if p.ndim < 2], "weight_decay": 0.0}]
    adamw = torch.optim.AdamW(groups, lr=learning_rate / 2 if matrices else learning_rate, betas=betas)
    if not matrices:
        return [adamw]
    return [torch.optim.Muon(matrices, lr=learning_rate, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"),
            adamw]


class Training:
    """A model on its way: one `update` a step saves, logs and averages.

    Attributes:
        model: what learns.
        average: its weights averaged over steps, by name; what ships.
        step, seen: how far it is.
        generator: the source of everything random, on the model's device; saved with the rest.
    """

    def __init__(self, name: str, model: nn.Module, optimisers: Iterable[torch.optim.Optimizer], schedule: Schedule,
                 file: Path, seed: int, average_decay: float, beginning: dict[str, Tensor] | None = None) -> None:
        """Resume from `file` where it exists; else go on from the tensors `beginning`, where there are any.

        Raises:
            ValueError: when `beginning` lacks a parameter of the model; tensors of other models are passed over.
        """
        self.name, self.model, self.schedule, self.file = name, model, schedule, file
        self.optimisers = list(optimisers)
        self.average_decay = average_decay
        if beginning and not file.exists():
            if lacking := [key for key, _ in model.named_parameters() if key not in beginning]:
                raise ValueError(f"cannot begin {name} from tensors that lack {', '.join(lacking)}")
            model.load_state_dict(beginning, strict=False)
        self.average = {key: value.detach().clone() for key, value in model.state_dict().items()}
        self.device = next(model.parameters()).device
        self.generator = torch.Generator(self.device).manual_seed(seed)
        self.step = self.seen = 0
        self._peaks = [float(group["lr"]) for one in self.optimisers for group in one.param_groups]
        if file.exists():
            self._resume()
        self._began = self._saved = time.monotonic()
        self._seen_before, self._loss = self.seen, 0.0

    @property
    def is_over(self) -> bool:
        """Tell whether everything has been seen."""
        return self.seen >= self.schedule.total

    @property
    def done(self) -> float:
        """Return the share that has been seen."""
        return self.seen / self.schedule.total

    def update(self, loss: Tensor, count: int) -> bool:
        """Take one step down `loss`, which `count` samples gave; return whether a checkpoint was written.

        Raises:
            FloatingPointError: naming the step at which the loss stopped being finite.
        """
        factor = self.schedule.factor(self.step, self.seen)
        groups = (group for one in self.optimisers for group in one.param_groups)
        for group, peak in zip(groups, self._peaks, strict=True):
            group["lr"] = peak * factor
        value = float(loss.detach())
        if value != value or abs(value) == float("inf"):
            raise FloatingPointError(f"loss is {value} at step {self.step} of {self.name}: lower the learning rate")
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for one in self.optimisers:
            one.step()
            one.zero_grad()
        self.step, self.seen = self.step + 1, self.seen + count
        self._follow()
        self._loss = 0.98 * self._loss + 0.02 * value if self._loss else value
        if self.step % STEPS_BETWEEN_LINES == 0:
            rate = (self.seen - self._seen_before) / (time.monotonic() - self._began)
            left = (self.schedule.total - self.seen) / rate / 60
            log.info("%s: step %d, %d of %d, loss %.4f, rate %.4f, %.0f a second, %.0f min left", self.name, self.step,
                     self.seen, self.schedule.total, self._loss, factor, rate, left)
        if self.is_over or time.monotonic() - self._saved > SECONDS_BETWEEN_CHECKPOINTS:
            self._save()
            return True
        return False

    @torch.no_grad()
    def _follow(self) -> None:
        """Let the average follow, faster at first."""
        decay = min(self.average_decay, (1 + self.step) / (10 + self.step))
        for key, value in self.model.state_dict().items():
            self.average[key].lerp_(value, 1 - decay)

    def _save(self) -> None:
        part = self.file.with_suffix(".part")
        torch.save({"model": self.model.state_dict(), "average": self.average, "step": self.step, "seen": self.seen,
                    "optimisers": [one.state_dict() for one in self.optimisers],
                    "generator": self.generator.get_state()}, part)
        part.replace(self.file)
        self._saved = time.monotonic()

    def _resume(self) -> None:
        kept = torch.load(self.file, weights_only=True, map_location=self.device)
        self.model.load_state_dict(kept["model"])
        self.average = kept["average"]
        for one, state in zip(self.optimisers, kept["optimisers"], strict=True):
            one.load_state_dict(state)
        self.step, self.seen = kept["step"], kept["seen"]
        state = kept["generator"].cpu()
        if state.numel() == self.generator.get_state().numel():  # another kind of device draws anew
            self.generator.set_state(state)
        log.info("%s: resumed at step %d, %d of %d", self.name, self.step, self.seen, self.schedule.total)
