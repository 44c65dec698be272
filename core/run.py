"""All that a method may know of its surroundings: a device, a seed, a folder, a listener.

A method calls ``run.report`` at least once a second of work; that call raises `Cancelled` when
the person asked to stop, or `Paused` where it shall go on later. It saves through ``run.checkpoints``,
leaves what is to be looked at in ``run.pictures`` and reads nothing else of the world, so it runs the same
in a test, a shell and a worker.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch

    from core.pictures import Pictures
    from core.training.checkpoint import Checkpoints


@dataclass(frozen=True, kw_only=True)
class Progress:
    """One report of a method: where it is and what it sees.

    Attributes:
        stage: a short noun phrase a person understands ("reading images", "adapting").
        step: steps done in the whole run, 0 … total; never falls.
        total: steps of the whole run over all stages; constant through a run.
        images_per_second: throughput of the current stage, None where it has no meaning.
        terms: the named losses of this step ("loss", "self_training", "fairness", …).
        histogram: images assigned to each class so far, in class order; empty if unknown.
        samples: (image index, class index, confidence in 0 … 1) of a few images just answered.
    """

    stage: str
    step: int
    total: int
    images_per_second: float | None = None
    terms: dict[str, float] = field(default_factory=dict)
    histogram: tuple[int, ...] = ()
    samples: tuple[tuple[int, int, float], ...] = ()


class Run(Protocol):
    """The surroundings handed to ``adapt(settings, problem, run)``.

    For reading, not for inheriting: `core.shell` has the one for terminals and tests, the worker
    its own.
    """

    device: torch.device
    seed: int
    folder: Path
    checkpoints: Checkpoints
    pictures: Pictures
    memory_share: float
    """1, or less once memory has run out: of the images that would be held at once, so many are."""

    def generator(self, purpose: str) -> torch.Generator:
        """Return a CPU generator seeded by the run's seed and `purpose` ("masks", "order", …)."""
        ...

    def report(self, progress: Progress) -> None:
        """Tell the world, at most once a second; raise `Cancelled` when asked to stop."""
        ...
