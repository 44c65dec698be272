"""Which images to name first: those that together stand for all others best, before anybody has named one.

A few labels drawn at random are a lottery; what they teach depends on which images they are. Chosen greedily are those
that maximise the facility location function sum_i max_{j in S} s_ij of cosine similarities s (Wei, Iyer, Bilmes, ICML
2015). With few labels typical images beat doubtful ones (Hacohen, Dekel, Weinshall, ICML 2022, arXiv:2202.02794). The
function is submodular, so each choice stands: who names the first ten has named the best ten that the search found.
What it brings is in docs/decisions.md, 2026-12-01 (`python -m benchmarks.telling`).

Shapes: N images, D features of a space.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.backbones.features import features
from core.backbones.load import load_backbone
from core.data.images import ImageSet
from core.evaluation.second_opinion import judge_name
from core.run import Run

MOST = 200
LARGEST_SAMPLE = 2_000
"""Images that are looked at: the other encoder sees so many in a few seconds."""
SEED = 0


def tell(images: ImageSet, spaces: Sequence[NDArray[np.float32]], part: Sequence[str], run: Run) -> list[int]:
    """Return the images to name first, as a run's own encoders and one that took no part see them.

    With one encoder alone a collection of eight was worse off than with images at random, with both none.

    Args:
        images: N; of more than 2,000 a seeded sample is looked at.
        spaces: what the run's own encoders see (N, D) each.
        part: their names.
        run: told of progress; may raise.
    """
    asked = np.sort(np.random.default_rng(SEED).permutation(len(images))[:LARGEST_SAMPLE])
    seen, other = [space[asked] for space in spaces], judge_name(part)
    if other is not None:
        seen.append(features(load_backbone(other), images.subset(asked.tolist()), run,
                             stage="choosing what to name first").numpy())
    return [int(one) for one in asked[most_telling(seen)]]


def most_telling(spaces: Sequence[NDArray[np.float32]], count: int = MOST) -> list[int]:
    """Return the images to name first, the most telling first: at most `count` of them, at most half of all.

    Args:
        spaces: frozen features (N, D) of each encoder that looked; (N, N) are held.
        count: how many are wanted.
    """
    seen = _unit(np.hstack([_unit(space - space.mean(axis=0)) for space in spaces]))
    return _cover(seen @ seen.T, min(count, len(seen) // 2))


def _cover(similarities: NDArray[np.float32], count: int) -> list[int]:
    """Return so many rows of (N, N), each with the largest gain; gains only shrink, so few are computed anew."""
    covered = np.full(len(similarities), -1.0, dtype=np.float32)
    waiting = [(-float(gain), row) for row, gain in enumerate((similarities - covered).sum(axis=1))]
    heapq.heapify(waiting)
    chosen: list[int] = []
    while waiting and len(chosen) < count:
        _, row = heapq.heappop(waiting)
        gain = float(np.maximum(similarities[row] - covered, 0).sum())
        if waiting and -gain > waiting[0][0]:  # less than what another promises
            heapq.heappush(waiting, (-gain, row))
            continue
        chosen.append(row)
        covered = np.maximum(covered, similarities[row])
    return chosen


def _unit(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return rows (N, D) of length 1; one of zeros stays."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.maximum(lengths, 1e-12), dtype=np.float32)
