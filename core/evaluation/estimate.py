"""Estimated accuracy: what answers show without labels, calibrated on collections whose truth is known.

Of answers in names, three published signs of accuracy: how sure and varied they are, how evenly they fall on the
classes, and how far groups that know no names confirm those of the baseline (a method that teaches itself moves its
answers towards such groups whether their names are right or not, so its own say less: `docs/decisions.md`, 2026-11-28).
Of groups, and of answers learnt from a person's labels: how well an encoder that took no part can be taught to repeat
them. `core.evaluation.estimate_calibration` puts each on the scale of accuracy. No torch here: the web imports it.

An estimate is shown only where leaving collections out has shown it to be worth something (`Calibration.holds`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np

ESTIMATORS: Mapping[str, Mapping[str, str]] = {
    "names": {
        "nuclear_norm": "confidence and dispersity (Deng et al. 2023)",
        "baseline_group_agreement": "the baseline's agreement with groups that know no names (after Jiang et al. 2022)",
        "histogram_entropy": "evenness of the answered classes (Musgrave et al. 2022)",
    },
    "groups": {
        "second_opinion": "another encoder's generalisation score of the groups (after Gadetsky et al. 2024)",
    },
    "labels": {
        "second_opinion": "another encoder's generalisation score of the answers (after Gadetsky et al. 2024)",
    },
}
"""What a result has, "names", "groups", or names learnt from a person's "labels" -> key of what is shown without labels
-> who proposed it."""
SET_ASIDE: Mapping[str, str] = {
    "group_agreement": "the result's own agreement with such groups",
    "mean_confidence": "mean confidence (Hendrycks, Gimpel 2017)",
    "baseline_agreement": "agreement with the baseline (Jiang et al. 2022)",
    "label_free_score": "generalisation score (Gadetsky et al. 2024)",
    "method_agreement": "agreement of k-means and TURTLE, matched one to one (after Jiang et al. 2022)",
}
"""Signs that made the estimate worse on collections left out; `make bench-trust` shows each alone."""
CLASSES = "classes"
"""Among what is shown without labels: how many there are."""
FILE = Path(__file__).with_name("estimate.json")
LEVEL = 0.9
"""Of the interval."""
SMALLEST_SHARE = 0.005
LEAST_COLLECTIONS = 6
"""Fewer do not tell how far off the next one will be."""
LARGEST_ERROR, LEAST_COVERED = 0.07, 0.8
"""Beyond these, leave-one-collection-out, an estimate is worse than none and is not shown."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Estimated accuracy with its 90 % interval, shares in 0 … 1."""

    accuracy: float
    low: float
    high: float

    @property
    def width(self) -> float:
        """Return the interval's."""
        return self.high - self.low


@dataclass(frozen=True, kw_only=True)
class Line:
    """The log odds of accuracy as a line in the log odds of a sign.

    Attributes:
        weight: how much it counts beside others: 1 / its mean squared error, leave-one-collection-out.
    """

    intercept: float
    slope: float
    weight: float = 1.0

    def at(self, sign: float) -> float:
        """Return the log odds of accuracy that a sign, 0 … 1, speaks for."""
        return self.intercept + self.slope * float(log_odds(sign))


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What was fitted, and how well it did on collections left out of the fit.

    Attributes:
        lines: by estimator.
        half_width: of the interval, 0 … 1.
        error: mean absolute error, leave-one-collection-out.
        covered: share of results whose interval held the truth, leave-one-collection-out.
        collections, results: what it was fitted on.
        kind: of results, one of `ESTIMATORS`.
        backbone: whose answers they were; how sure another's are means something else.
        methods: that gave them on collections enough; what another's signs are worth nobody measured.
        begun_with: whether so many of them began with the encoder of an earlier run.
        fewest, most: how many classes the results had; of two, groups confirm half by chance, whatever is right.
    """

    lines: Mapping[str, Line]
    half_width: float
    error: float
    covered: float
    collections: int
    results: int
    kind: str = ""
    backbone: str = ""
    methods: tuple[str, ...] = ()
    begun_with: bool = False
    fewest: int = 0
    most: int = 0

    @property
    def holds(self) -> bool:
        """Tell whether its estimates may be shown."""
        return (self.collections >= LEAST_COLLECTIONS and self.error <= LARGEST_ERROR
                and self.covered >= LEAST_COVERED)

    def estimate(self, shown: Mapping[str, float]) -> Estimate | None:
        """Return the estimate for a result, from what it shows without labels; None where it shows none of it."""
        found = combined(self.lines, shown)
        if found is None:
            return None
        return Estimate(accuracy=found, low=max(0.0, found - self.half_width), high=min(1.0, found + self.half_width))


def of_result(kind: str, method: str, backbone: object, shown: Mapping[str, float | None],
              begun_with: bool = False, even_poor: bool = False) -> Estimate | None:
    """Return the estimated accuracy of a result; None where none is good enough to be shown (`make bench-trust` tells).

    Nor is one for a foundation model or a method whose results were not calibrated, nor for fewer or more classes, nor
    where none that was calibrated began with an adapted encoder, nor where a sign that the calibration reads is
    missing, as of a run of an earlier release: its error would not be the one known.

    Args:
        kind: one of `ESTIMATORS`.
        method: that gave the result.
        backbone: whose answers they are, published; "" for one without its weights, and for groups whose number nobody
            gave: those that were calibrated were as many as the classes.
        shown: signs by key; None where there is none.
        begun_with: whether it began with the encoder of an earlier run.
        even_poor: return one that is not good enough to be shown, too, for who only asks which of two is larger.
    """
    calibration = calibration_of(kind, backbone)
    given = {name: value for name, value in shown.items() if value is not None}
    if (calibration is None or not (calibration.holds or even_poor) or method not in calibration.methods
            or (begun_with and not calibration.begun_with)
            or not calibration.fewest <= given.get(CLASSES, 0) <= calibration.most
            or not given.keys() >= calibration.lines.keys()):
        return None
    return calibration.estimate(given)


def calibration_of(kind: str, backbone: object) -> Calibration | None:
    """Return the calibration that ships for results of a kind and a foundation model; None where there is none."""
    return next((one for one in read() if (one.kind, one.backbone) == (kind, backbone)), None)


@cache
def read(file: Path = FILE) -> tuple[Calibration, ...]:
    """Return the calibrations that ship, one for each kind of result of a foundation model; none before one is made."""
    if not file.exists():
        return ()
    said = json.loads(file.read_text(encoding="utf-8"))["calibrations"]
    return tuple(Calibration(**one | {"lines": {name: Line(**line) for name, line in one["lines"].items()},
                                      "methods": tuple(one["methods"])}) for one in said)


def write(calibrations: Sequence[Calibration], day: str, file: Path = FILE) -> None:
    """Write calibrations with the day they were made."""
    said = {"made": day, "calibrations": [asdict(one) for one in calibrations]}
    file.write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")


def log_odds(share: float | np.ndarray) -> np.ndarray:
    """Return log(p / (1 - p)) of shares, of which 0 and 1 are taken for almost that."""
    inside = np.clip(share, SMALLEST_SHARE, 1 - SMALLEST_SHARE)
    return np.asarray(np.log(inside / (1 - inside)))


def combined(lines: Mapping[str, Line], shown: Mapping[str, float]) -> float | None:
    """Return what the estimators say together, 0 … 1: the mean of their log odds, each with its weight."""
    said = [(line.at(shown[name]), line.weight) for name, line in lines.items() if name in shown]
    if not said:
        return None
    odds, weights = zip(*said, strict=True)
    return float(1 / (1 + np.exp(-np.average(odds, weights=weights))))
