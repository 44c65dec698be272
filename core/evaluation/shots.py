"""Logistic regression on 1, 2 and 5 labelled images a class, each over three draws.

Lehner et al., 2023, arXiv:2304.10520, section 4 and appendix B: L2-regularised logistic regression on frozen
features, mean over three splits. They take the penalty of earlier work (cyanure); here it is the linear
probe's, C = 1 on standardised features.

Shapes: N images, K classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import DataError
from core.evaluation.evidence import Evidence, Finding, spread
from core.evaluation.probe import fit

SHOTS = (1, 2, 5)
SPLITS = 3


def draw(truth: NDArray[np.integer], shots: int, seed: int) -> NDArray[np.bool_]:
    """Return which images (N,) are shown with their label: `shots` of every class.

    Raises:
        DataError: for a class that has too few to leave one to be measured on.
    """
    count = np.bincount(truth)
    if (count < shots + 1).any():
        smallest = int(count.argmin())
        raise DataError(f"{shots}-shot", f"a class has {count[smallest]} image(s), and at least {shots + 1} of each "
                        "are needed: one must be left to measure on")
    generator = np.random.default_rng([seed, shots])
    shown = np.zeros(len(truth), dtype=bool)
    for one in range(len(count)):
        shown[generator.permutation(np.flatnonzero(truth == one))[:shots]] = True
    return shown


@dataclass(frozen=True, kw_only=True)
class Split:
    """The images (indices) that are shown with their label, and those that are asked about."""

    shown: NDArray[np.int64]
    asked: NDArray[np.int64]


def splits(evidence: Evidence, wanted: Sequence[int]) -> Iterator[tuple[int, list[Split] | DataError]]:
    """Yield (shots, three draws) for each number of shots, or why there can be none; of copies one is drawn from.

    Raises:
        DataError: where not one of them is possible.
    """
    images = np.flatnonzero(evidence.different)
    truth, seed = evidence.truth[images], evidence.run.seed
    refused: list[DataError] = []
    for shots in wanted:
        try:
            masks = [draw(truth, shots, SPLITS * seed + number) for number in range(SPLITS)]
            yield shots, [Split(shown=images[mask], asked=images[~mask]) for mask in masks]
        except DataError as error:
            refused.append(error)
            yield shots, error
    if len(refused) == len(wanted):
        raise refused[0]


def low_shot(evidence: Evidence) -> Finding:
    """Measure logistic regression on few labels; answered are all images that were not shown, nor their copies."""
    figures: dict[str, float] = {}
    notes: list[str] = []
    features, truth = evidence.features, evidence.truth
    for shots, draws in splits(evidence, SHOTS):
        if isinstance(draws, DataError):
            notes.append(str(draws))
            continue
        found = [float((fit(features[one.shown], truth[one.shown]).answer(features[one.asked])
                        == truth[one.asked]).mean()) for one in draws]
        figures |= spread(f"{shots}_shot", found)
    return Finding(figures=figures, notes=tuple(notes))
