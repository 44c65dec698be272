"""How many more answers of a run are right than of its baseline, measured on one random sample of the same images.

Both answered every image of the sample, so only those count that one of them has right and the other wrong. Uniform
samples get the adjusted Wald interval for matched pairs (Agresti, Min, Statistics in Medicine 24(5), 2005), which adds
half an image to each of the four cells; stratified ones are weighted back to the whole, and get the same interval at
the effective sample size, as in `core.evaluation.spot_check`. No torch here: the web imports it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from core.evaluation.spot_check import CONFIDENCE, Stratum

PSEUDO = 0.5
"""Images that each cell is given beside those that were counted, so that none pretends to be known to be empty."""
CELLS = 4
"""Both right, the run alone, the baseline alone, neither."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A run's share of right answers less its baseline's, -1 … 1, with its 95 % interval.

    Attributes:
        answered: images of the sample that a person gave an answer for.
    """

    value: float
    low: float
    high: float
    answered: int

    @property
    def is_gain(self) -> bool:
        """Tell whether the run is shown to have more right."""
        return self.low > 0

    @property
    def is_loss(self) -> bool:
        """Tell whether the baseline is shown to have more right."""
        return self.high < 0


def difference(strata: Sequence[Stratum], right: Collection[int | str],
               theirs: Collection[int | str]) -> Difference | None:
    """Return how much more of a run's answers is right; None until each stratum with images has an answer.

    Args:
        strata: what was drawn from; one is a uniform sample.
        right: the images for which the person's answer is the run's.
        theirs: those for which it is the baseline's.

    The weighted shares are g = Σ W_k g_k gained and l lost, with W_k = N_k / N, and g - l has the variance
    Σ W_k² v_k / n_k, with v = g + l - (g - l)² of smoothed shares; n_eff = v / variance. Where every image was asked,
    the difference is exact and the interval is a point.
    """
    strata = [one for one in strata if one.images]
    if not strata or any(not one.answered for one in strata):
        return None
    gained, lost = set(right).difference(theirs), set(theirs).difference(right)
    total, answered = sum(one.images for one in strata), sum(one.answered for one in strata)
    weights = [one.images / total for one in strata]
    plus, minus = (sum(weight * one.count(of) / one.answered for weight, one in zip(weights, strata, strict=True))
                   for of in (gained, lost))
    value = plus - minus
    if answered == total:
        return Difference(value=value, low=value, high=value, answered=answered)
    smooth = [tuple((one.count(of) + PSEUDO) / (one.answered + CELLS * PSEUDO) for of in (gained, lost))
              for one in strata]
    low, high = adjusted_wald(plus, minus, _effective(strata, weights, smooth))
    return Difference(value=value, low=low, high=high, answered=answered)


def adjusted_wald(gained: float, lost: float, count: float) -> tuple[float, float]:
    """Return Agresti and Min's interval for the difference of two shares, 0 … 1, seen in `count` > 0 pairs."""
    whole = count + CELLS * PSEUDO
    more, fewer = count * gained + PSEUDO, count * lost + PSEUDO
    centre = (more - fewer) / whole
    half = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * (more + fewer - (more - fewer) ** 2 / whole) ** 0.5 / whole
    return max(-1.0, centre - half), min(1.0, centre + half)


def sentence(found: Difference, baseline: str) -> str:
    """Return what pages and cards say beside the measured share, a clause; `baseline` is what it is called."""
    if found.low == found.high:
        more = _points(found, 1) if found.value else "as many"
        return f"{baseline} has {more} right on the same images"
    ends = f"{100 * found.low:+.0f} to {100 * found.high:+.0f}"
    if not found.is_gain and not found.is_loss:
        return f"{baseline} is not shown to be better or worse on the same images (95 % interval {ends} points)"
    ends = " to ".join(f"{100 * abs(one):.0f}" for one in sorted((found.low, found.high), key=abs))
    return f"{baseline} has {_points(found, 0)} right on the same images (95 % interval {ends})"


def _points(found: Difference, digits: int) -> str:
    """Return how the baseline's share of right answers stands to the run's."""
    return f"{100 * abs(found.value):.{digits}f} points {'more' if found.value < 0 else 'fewer'}"


def _effective(strata: Sequence[Stratum], weights: Sequence[float], shares: Sequence[tuple[float, ...]]) -> float:
    """Return how many images of a uniform sample would tell as much; `shares` are those gained and lost, smoothed."""
    answered = float(sum(one.answered for one in strata))
    if len(strata) == 1:
        return answered
    variance = sum(weight**2 * _variance(*of) / one.answered
                   for weight, of, one in zip(weights, shares, strata, strict=True))
    mean = (sum(weight * of[side] for weight, of in zip(weights, shares, strict=True)) for side in (0, 1))
    return min(_variance(*mean) / variance, answered)


def _variance(gained: float, lost: float) -> float:
    """Return that of one image's difference, which is 1, 0 or -1."""
    return gained + lost - (gained - lost) ** 2
