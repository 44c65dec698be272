"""Estimated accuracy: what answers show without labels, calibrated on collections whose truth is known.

Four published signs of accuracy, each put on the scale of accuracy by a line fitted on other collections (as
Deng, Zheng, CVPR 2021, arXiv:2007.02915, and Guillory et al., ICCV 2021, arXiv:2107.03315, fit theirs), and averaged.
The interval is split conformal over whole collections: how far off the estimate was on collections left out of the
fit (Vovk, Gammerman, Shafer 2005; Lei et al., JASA 113, 2018). No torch here: the web imports it.

An estimate is shown only where leaving collections out has shown it to be worth something (`Calibration.holds`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

ESTIMATORS: Mapping[str, str] = {
    "mean_confidence": "mean confidence (Hendrycks, Gimpel 2017)",
    "nuclear_norm": "confidence and dispersity (Deng et al. 2023)",
    "baseline_agreement": "agreement with the baseline (Jiang et al. 2022)",
    "label_free_score": "generalisation score (Gadetsky et al. 2024)",
}
"""Key of what is shown without labels -> who proposed it."""
FILE = Path(__file__).with_name("estimate.json")
LEVEL = 0.9
"""Of the interval."""
SMALLEST_HALF_WIDTH = 0.01
LEAST_COLLECTIONS = 6
"""Fewer do not tell how far off the next one will be."""
LARGEST_ERROR, LEAST_COVERED = 0.07, 0.8
"""Beyond these, leave-one-collection-out, an estimate is worse than none and is not shown."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """One result whose truth is known: its collection, what it shows without labels, and its accuracy, 0 … 1."""

    collection: str
    shown: Mapping[str, float]
    accuracy: float


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Estimated accuracy with its 90 % interval, shares in 0 … 1."""

    accuracy: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What was fitted, and how well it did on collections left out of the fit.

    Attributes:
        lines: estimator -> intercept and slope of accuracy on it.
        half_width: of the interval, 0 … 1.
        error: mean absolute error, leave-one-collection-out.
        covered: share of results whose interval held the truth, leave-one-collection-out.
        collections, results: what it was fitted on.
    """

    lines: Mapping[str, tuple[float, float]]
    half_width: float
    error: float
    covered: float
    collections: int
    results: int

    @property
    def holds(self) -> bool:
        """Tell whether its estimates may be shown."""
        return (self.collections >= LEAST_COLLECTIONS and self.error <= LARGEST_ERROR
                and self.covered >= LEAST_COVERED)

    def estimate(self, shown: Mapping[str, float]) -> Estimate | None:
        """Return the estimate for a result, from what it shows without labels; None where it shows none of it."""
        found = _combined(self.lines, shown)
        if found is None:
            return None
        return Estimate(accuracy=found, low=max(0.0, found - self.half_width), high=min(1.0, found + self.half_width))


def calibrate(results: Sequence[Known]) -> Calibration | None:
    """Fit on every result, and say how that does on collections left out; None with less than three collections."""
    collections = sorted({one.collection for one in results})
    if len(collections) < 3:
        return None
    left_out = list(left_out_estimates(results))
    errors = [abs(estimate.accuracy - one.accuracy) for one, estimate in left_out]
    covered = [estimate.low <= one.accuracy <= estimate.high for one, estimate in left_out]
    return Calibration(lines=_lines(results), half_width=_half_width(results), error=float(np.mean(errors)),
                       covered=float(np.mean(covered)), collections=len(collections), results=len(left_out))


def left_out_estimates(results: Sequence[Known], estimators: Sequence[str] = tuple(ESTIMATORS)
                       ) -> Iterator[tuple[Known, Estimate]]:
    """Yield every result with the estimate of a fit, interval included, that never saw its collection."""
    for collection in sorted({one.collection for one in results}):
        others = [one for one in results if one.collection != collection]
        lines, half = _lines(others, estimators), _half_width(others, estimators)
        for one in results:
            found = _combined(lines, one.shown) if one.collection == collection else None
            if found is not None:
                yield one, Estimate(accuracy=found, low=max(0.0, found - half), high=min(1.0, found + half))


def read(file: Path = FILE) -> dict[str, Calibration]:
    """Return the calibrations that ship, by what the result has: "names" or "groups"; none before one is made."""
    if not file.exists():
        return {}
    said = json.loads(file.read_text(encoding="utf-8"))["calibrations"]
    return {kind: Calibration(**one | {"lines": {name: (a, b) for name, (a, b) in one["lines"].items()}})
            for kind, one in said.items()}


def write(calibrations: Mapping[str, Calibration], day: str, file: Path = FILE) -> None:
    """Write calibrations with the day they were made."""
    said = {"made": day, "calibrations": {kind: asdict(one) for kind, one in calibrations.items()}}
    file.write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")


def _lines(results: Sequence[Known], estimators: Sequence[str] = tuple(ESTIMATORS)) -> dict[str, tuple[float, float]]:
    """Fit accuracy = intercept + slope * sign for each estimator; every collection weighs the same.

    An estimator that falls as accuracy rises, or that fewer than three collections show, is left out: all four
    are signs of being right, and a negative slope is chance.
    """
    fitted = {}
    for name in estimators:
        having = [one for one in results if name in one.shown]
        counts = {one.collection: sum(other.collection == one.collection for other in having) for one in having}
        sign = np.array([one.shown[name] for one in having])
        if len(counts) < 3 or float(np.ptp(sign)) < 1e-6:
            continue
        weights = np.array([counts[one.collection] ** -0.5 for one in having])  # polyfit squares them
        slope, intercept = np.polyfit(sign, [one.accuracy for one in having], 1, w=weights)
        if slope > 0:
            fitted[name] = (float(intercept), float(slope))
    if not fitted:  # nothing tells anything: what is left is the mean
        fitted["mean_confidence"] = (float(np.mean([one.accuracy for one in results])), 0.0)
    return fitted


def _combined(lines: Mapping[str, tuple[float, float]], shown: Mapping[str, float]) -> float | None:
    """Return the mean of what each estimator says, 0 … 1."""
    found = [intercept + slope * shown[name] for name, (intercept, slope) in lines.items() if name in shown]
    return float(np.clip(np.mean(found), 0.0, 1.0)) if found else None


def _half_width(results: Sequence[Known], estimators: Sequence[str] = tuple(ESTIMATORS)) -> float:
    """Return how far off estimates are on collections left out: the conformal quantile at `LEVEL`.

    Results of one collection err together, so each collection counts with its worst.
    """
    worst = []
    for collection in {one.collection for one in results}:
        lines = _lines([one for one in results if one.collection != collection], estimators)
        off = [abs(found - one.accuracy) for one in results if one.collection == collection
               and (found := _combined(lines, one.shown)) is not None]
        worst.append(max(off, default=0.0))
    rank = min(1.0, LEVEL * (len(worst) + 1) / len(worst))
    return max(SMALLEST_HALF_WIDTH, float(np.quantile(worst, rank, method="higher")))
