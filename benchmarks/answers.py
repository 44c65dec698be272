"""The answers of measured cells, kept in the cache (not committed): baselines and other seeds to agree with.

Shapes: N images, K classes.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Answers = NDArray[np.float16]
"""Probabilities (N, K)."""


class AnswerCache:
    """One file a cell, under a folder of the weights that answered.

    Attributes:
        cache: the folder that all is kept in, features besides.
    """

    def __init__(self, cache: Path, weights: str) -> None:
        self.cache = cache
        self._folder = cache / "answers" / weights

    def keep(self, target: str, method: str, seed: int, probabilities: NDArray[np.floating]) -> None:
        """Write the answers of a cell, whole or not at all."""
        file = self._file(target, method, seed)
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        with part.open("wb") as stream:
            np.savez_compressed(stream, probabilities=probabilities.astype(np.float16))
        part.replace(file)

    def find(self, target: str, method: str, seed: int) -> Answers | None:
        """Return the answers of a cell, or None where they were not kept."""
        file = self._file(target, method, seed)
        if not file.exists():
            return None
        with np.load(file) as found:
            return np.asarray(found["probabilities"])

    def others(self, target: str, method: str, seed: int) -> list[Answers]:
        """Return the answers of the method's other seeds below 10, as far as they were kept."""
        found = (self.find(target, method, one) for one in range(10) if one != seed)
        return [one for one in found if one is not None]

    def _file(self, target: str, method: str, seed: int) -> Path:
        """Return where a cell's answers lie."""
        return self._folder / target / f"{re.sub(r'[^a-z0-9]+', '-', method.lower()).strip('-')}-{seed}.npz"
