"""The teacher: an exponential moving average of a model's parameters (MUST Eq. 1)."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

ModelT = TypeVar("ModelT", bound=nn.Module)


def ramp(step: int, start: float, end: float, ramp_steps: int) -> float:
    """Return μ of `step`: a straight line from `start` (step 0) to `end` (step `ramp_steps` and after)."""
    if step >= ramp_steps:
        return end
    return start + (end - start) * step / ramp_steps


def decay_over(horizon_steps: float) -> float:
    """Return the decay of an average that remembers so many steps: a paper's own is too slow for a short run."""
    return 1 - 1 / max(1.0, horizon_steps)


class Teacher(Generic[ModelT]):
    """A copy of a student that follows it slowly, never trains and never leaves eval mode.

    Attributes:
        model: the copy. Parameters are averaged; buffers are copied.
    """

    def __init__(self, student: ModelT) -> None:
        self.model: ModelT = copy.deepcopy(student).eval().requires_grad_(False)

    @torch.no_grad()
    def follow(self, student: ModelT, decay: float) -> None:
        """Move to ``decay * teacher + (1 - decay) * student``, in float32 (Eq. 1)."""
        averages = [parameter.data for parameter in self.model.parameters()]
        latest = [parameter.data for parameter in student.parameters()]
        torch._foreach_mul_(averages, decay)
        torch._foreach_add_(averages, latest, alpha=1.0 - decay)  # Eq. 1
        for mine, theirs in zip(self.model.buffers(), student.buffers(), strict=True):
            mine.copy_(theirs)
