"""How the estimates of `core.evaluation.estimate` are calibrated: fitted on results whose truth is known, and judged on
collections left out of the fit.

A sign is put on the scale of accuracy by a line fitted on other collections (as Deng, Zheng, CVPR 2021,
arXiv:2007.02915, and Guillory et al., ICCV 2021, arXiv:2107.03315, fit theirs; theirs on the shares, ours on their log
odds, as a share has two ends), and the signs are averaged with the weight that each has earned on collections left out.
The interval is split conformal over whole collections: how far off the estimate was on those left out of the fit (Vovk,
Gammerman, Shafer 2005; Lei et al., JASA 113, 2018).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.evaluation.estimate import (
    CLASSES,
    ESTIMATORS,
    LEAST_COLLECTIONS,
    LEVEL,
    Calibration,
    Estimate,
    Line,
    combined,
    log_odds,
)

SMALLEST_HALF_WIDTH = 0.01
SMALLEST_SQUARED_ERROR = 1e-6


@dataclass(frozen=True, kw_only=True)
class Known:
    """One result whose truth is known: what made it, what it shows without labels, and its accuracy, 0 … 1.

    Attributes:
        method: a key of `core.catalog.METHODS`.
        begun_with: whether it began with the encoder of an earlier run.
    """

    collection: str
    shown: Mapping[str, float]
    accuracy: float
    method: str = ""
    begun_with: bool = False


def calibrate(results: Sequence[Known], kind: str, backbone: str = "") -> Calibration | None:
    """Fit on every result of a backbone that shows a sign, and say how that does on collections left out.

    Returns:
        None with less than three collections.
    """
    estimators = tuple(ESTIMATORS[kind])
    results = [one for one in results if not one.shown.keys().isdisjoint(estimators)]
    collections = sorted({one.collection for one in results})
    if len(collections) < 3:
        return None
    left_out = list(left_out_estimates(results, estimators))
    errors = [abs(estimate.accuracy - one.accuracy) for one, estimate in left_out]
    covered = [estimate.low <= one.accuracy <= estimate.high for one, estimate in left_out]
    classes = [int(one.shown[CLASSES]) for one in results if CLASSES in one.shown]
    return Calibration(lines=_weighted_lines(results, estimators), half_width=_half_width(results, estimators),
                       error=float(np.mean(errors)), covered=float(np.mean(covered)), collections=len(collections),
                       results=len(left_out), kind=kind, backbone=backbone,
                       methods=tuple(name for name in sorted({one.method for one in results})
                                     if _is_common([one for one in results if one.method == name])),
                       begun_with=_is_common([one for one in results if one.begun_with]),
                       fewest=min(classes, default=0), most=max(classes, default=0))


def _is_common(results: Sequence[Known]) -> bool:
    """Tell whether results are of collections enough."""
    return len({one.collection for one in results}) >= LEAST_COLLECTIONS


def left_out_estimates(results: Sequence[Known], estimators: Sequence[str]) -> Iterator[tuple[Known, Estimate]]:
    """Yield every result with the estimate of a fit, interval included, that never saw its collection."""
    for collection in sorted({one.collection for one in results}):
        others = [one for one in results if one.collection != collection]
        lines, half = _weighted_lines(others, estimators), _half_width(others, estimators)
        for one in results:
            found = combined(lines, one.shown) if one.collection == collection else None
            if found is not None:
                yield one, Estimate(accuracy=found, low=max(0.0, found - half), high=min(1.0, found + half))


def _weighted_lines(results: Sequence[Known], estimators: Sequence[str]) -> dict[str, Line]:
    """Fit a line for each estimator, and weigh each by how far off it is on collections left out."""
    fitted = _lines(results, estimators)
    return {name: replace(line, weight=1 / max(_squared_error(results, name), SMALLEST_SQUARED_ERROR))
            for name, line in fitted.items()}


def _squared_error(results: Sequence[Known], estimator: str) -> float:
    """Return the mean squared error of one estimator on collections left out, every collection weighing the same."""
    found = []
    for collection in {one.collection for one in results}:
        lines = _lines([one for one in results if one.collection != collection], (estimator,))
        off = [said - one.accuracy for one in results if one.collection == collection
               and (said := combined(lines, one.shown)) is not None]
        found += [float(np.mean(np.square(off)))] if off else []
    return float(np.mean(found)) if found else 1.0


def _lines(results: Sequence[Known], estimators: Sequence[str]) -> dict[str, Line]:
    """Fit a line for each estimator; every collection weighs the same.

    An estimator that falls as accuracy rises, or that fewer than three collections show, is left out: all are signs of
    being right, and a negative slope is chance.
    """
    fitted = {}
    for name in estimators:
        having = [one for one in results if name in one.shown]
        counts = {one.collection: sum(other.collection == one.collection for other in having) for one in having}
        sign = log_odds(np.array([one.shown[name] for one in having]))
        if len(counts) < 3 or float(np.ptp(sign)) < 1e-6:
            continue
        weights = np.array([counts[one.collection] ** -0.5 for one in having])  # polyfit squares them
        slope, intercept = np.polyfit(sign, log_odds(np.array([one.accuracy for one in having])), 1, w=weights)
        if slope > 0:
            fitted[name] = Line(intercept=float(intercept), slope=float(slope))
    if not fitted:  # nothing tells anything: what is left is the mean
        mean = float(np.mean([one.accuracy for one in results]))
        fitted[estimators[0]] = Line(intercept=float(log_odds(mean)), slope=0.0)
    return fitted


def _half_width(results: Sequence[Known], estimators: Sequence[str]) -> float:
    """Return how far off estimates are on collections left out of the fit: the conformal quantile at `LEVEL`.

    Results of one collection err together, so each collection counts with its worst. Of n collections no quantile
    beyond n / (n + 1) can be had: with less than nine it is the worst of all, and covers what it covers. Of 19, 29, …
    the next higher is taken, which errs to the safe side.
    """
    worst = []
    for collection in {one.collection for one in results}:
        lines = _weighted_lines([one for one in results if one.collection != collection], estimators)
        off = [abs(found - one.accuracy) for one in results if one.collection == collection
               and (found := combined(lines, one.shown)) is not None]
        worst.append(max(off, default=0.0))
    rank = min(1.0, LEVEL * (len(worst) + 1) / len(worst))
    return max(SMALLEST_HALF_WIDTH, float(np.quantile(worst, rank, method="higher")))
