"""What the page shows while a model teaches itself: its newest labels of all images, and some of the last batch.

N images, B of a step, K classes.
"""

from __future__ import annotations

from torch import Tensor

from core.losses.pseudolabel import PseudoLabels
from core.training import loop

SAMPLES_SHOWN = 12


def newest_answers(latest: Tensor, last_seen: tuple[Tensor, PseudoLabels, Tensor], num_classes: int,
                   own: int | None = None) -> loop.Answers:
    """Return the class histogram of the newest labels, and images of the last batch, changed answers first.

    Args:
        latest: (N,) the newest label of every image, -1 before its first.
        last_seen: the last batch's indices (B,), its labels, and (B,) whether each label changed.
        num_classes: K.
        own: how many of the N, the first, are the run's own: of others the page shows nothing. All, if not given.
    """
    indices, answers, changed = last_seen
    latest = latest[:own]
    counts = latest[latest >= 0].bincount(minlength=num_classes)
    order = changed.int().argsort(descending=True, stable=True)
    shown = order[(indices < len(latest)).to(order.device)[order]][:SAMPLES_SHOWN]
    return loop.Answers(histogram=tuple(counts.tolist()), samples=tuple(zip(
        indices[shown].tolist(), answers.labels[shown].tolist(), answers.confidence[shown].tolist(), strict=True)))
