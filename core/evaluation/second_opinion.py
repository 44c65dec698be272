"""What an encoder that took no part in a grouping thinks of it: how well it can be taught to repeat it.

Methods that group what one encoder sees, or teach it, may follow what only that encoder sees. The generalisation
score (`core.evaluation.label_free`) of the same labels on another encoder's features knows nothing of that. Which of
the two this other one finds easier to repeat is what the never-worse guard asks (`core.evaluation.guard`), and TURTLE
of its own starts.

Shapes: N images, D features.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.backbones.features import features
from core.backbones.load import load_backbone
from core.card import backbones_of
from core.data.images import ImageSet
from core.evaluation.label_free import MAX_IMAGES, label_free_score
from core.run import Run

ASKED = ("starter-mae", "starter-clip")
"""Both come with labelfree; the one that reads no words first."""
ASKED_OF = ("kmeans", "turtle", "maect", "finetune", "semimae")
"""Methods whose answers are asked about: those for which it was measured what that says (`make bench-trust`)."""
SEED = 0
"""Of the sample and the folds: a run and its baseline are asked about the same images."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Judge:
    """An encoder that took no part, and what it sees.

    Attributes:
        name: of the encoder.
        chosen: the images that it is asked about (n,), as positions among all N.
        features: of those, (n, D).
    """

    name: str
    chosen: NDArray[np.int64]
    features: NDArray[np.float32]

    def score(self, labels: NDArray[np.integer], on_fold: Callable[[int], None] = lambda fold: None) -> float:
        """Return its score, 0 … 1, of the group of each image (N,); `on_fold` as in `label_free_score`."""
        return label_free_score(self.features, labels[self.chosen], SEED, on_fold)


def judge_name(part: Sequence[str]) -> str | None:
    """Return the encoder to ask where these took part; None where no other is there."""
    return next((name for name in ASKED if name not in part), None)


def asked_about(num_images: int) -> int:
    """Return how many of N images it is asked about."""
    return min(num_images, MAX_IMAGES)


def read_judge(name: str, images: ImageSet, run: Run, first_step: int = 0, total_steps: int | None = None) -> Judge:
    """Let the encoder `name` look at a seeded sample of the images.

    Args:
        name: as `judge_name` gives it.
        images: N.
        run: told of progress, one step an image; may raise.
        first_step: the run's step at which this begins.
        total_steps: of the whole run; as many as images are read when None.
    """
    chosen = np.sort(np.random.default_rng(SEED).permutation(len(images))[:asked_about(len(images))])
    read = features(load_backbone(name), images.subset(chosen.tolist()), run, stage="asking another encoder",
                    first_step=first_step, total_steps=total_steps)
    return Judge(name=name, chosen=chosen, features=read.numpy())


def second_opinion(method: str, settings: Mapping[str, object], images: ImageSet, labels: NDArray[np.integer],
                   run: Run) -> float | None:
    """Return another encoder's score, 0 … 1, of a run's groups; None where no other is there, or none is asked.

    Args:
        method: of the run.
        settings: of the run; the encoders they name took part.
        images: N; of more than 5,000 a seeded sample is read.
        labels: the group of each (N,).
        run: told of progress; may raise.
    """
    name = judge_name(backbones_of(settings))
    if name is None or method not in ASKED_OF:
        return None
    return read_judge(name, images, run).score(labels)
