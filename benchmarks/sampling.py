"""How often the intervals of a spot check hold the truth, over simulated samples of collections as the rows are.

A collection is its images by number, of which a run has so many right and its baseline so many.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.bounds import Bound
from core.evaluation.paired import difference
from core.evaluation.spot_check import Stratum, measure

SAMPLE, SAMPLES = 50, 1_000
LEAST = 92
"""Samples of a hundred whose interval holds the truth, at least."""


def measured_bound(shares: Sequence[float]) -> Bound:
    """Return how often that of the measured accuracy does, for runs with these shares right, 0 … 1."""
    generator = np.random.default_rng(0)
    covered = 0
    for number in range(SAMPLES if shares else 0):
        images = int(generator.integers(1000, 5000))
        right = range(round(shares[number % len(shares)] * images))
        found = measure([_sample(images, generator)], right)
        covered += found is not None and found.low <= len(right) / images <= found.high
    return Bound(f"spot check of {SAMPLE}: the 95 % interval holds the truth, % of {SAMPLES:,} samples",
                 100 * covered / SAMPLES if shares else None, LEAST)


def difference_bound(pairs: Sequence[tuple[float, float]]) -> Bound:
    """Return how often that of the difference does, for shares of right answers of runs and of their baselines.

    Rows do not say which images both have right: the larger share holds the smaller one, or as little as can be, or
    anything between.
    """
    generator = np.random.default_rng(0)
    covered = 0
    for number in range(SAMPLES if pairs else 0):
        images = int(generator.integers(1000, 5000))
        ours, theirs = (round(share * images) for share in pairs[number % len(pairs)])
        first = round(generator.random() * (images - theirs))
        found = difference([_sample(images, generator)], range(ours), range(first, first + theirs))
        covered += found is not None and found.low <= (ours - theirs) / images <= found.high
    return Bound(f"difference from the baseline on these {SAMPLE}: the 95 % interval holds the truth, % of {SAMPLES:,}",
                 100 * covered / SAMPLES if pairs else None, LEAST)


def _sample(images: int, generator: np.random.Generator) -> Stratum:
    """Return a uniform sample of so many images."""
    return Stratum(images=images, told=generator.choice(images, SAMPLE, replace=False).tolist())
