"""What an encoder that took no part in a grouping thinks of it: how well it can be taught to repeat it.

TURTLE and k-means group what one encoder sees, and either may follow what only that encoder sees. The generalisation
score (`core.evaluation.label_free`) of the same labels on another encoder's features knows nothing of that. Which of
the two this other one finds easier to repeat is what the never-worse guard asks (`core.evaluation.guard`).

Shapes: N images, D features.
"""

from __future__ import annotations

from collections.abc import Mapping

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
GROUPING = ("kmeans", "turtle")
"""Methods whose groups are asked about: the guard's bound was measured on these."""
SEED = 0
"""Of the sample and the folds: a run and its baseline are asked about the same images."""


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
    judge = next((name for name in ASKED if name not in backbones_of(settings)), None)
    if judge is None or method not in GROUPING:
        return None
    chosen = np.sort(np.random.default_rng(SEED).permutation(len(images))[:MAX_IMAGES])
    read = features(load_backbone(judge), images.subset(chosen.tolist()), run, stage="asking another encoder")
    return label_free_score(read.numpy(), labels[chosen], seed=SEED)
