"""Never worse than the baseline: what in a run's histogram says that its answers should not replace them.

The rule was chosen on the committed rows (docs/decisions.md): runs that lost accuracy spread their images less
evenly over the classes than the baseline did, and those that gained did not; the label-free score did not tell
them apart. As in Musgrave et al., "Three New Validators", 2022 (arXiv:2208.07360), where the balance of the answered
classes is one. No torch here: the web imports it.

Symbols: K classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

LARGEST_LOSS = 0.05
"""Of evenness against the baseline's: more is the beginning of collapse. Committed runs that gained lost 0.042 at
most, runs that were harmed, of an earlier preset, 0.098 at least."""


def evenness(histogram: Sequence[int]) -> float:
    """Return the entropy of images over K classes, divided by log K: 1 for equal shares, 0 for a single class."""
    total = sum(histogram)
    if len(histogram) < 2 or not total:
        return 0.0
    shares = [count / total for count in histogram if count]
    return -sum(share * math.log(share) for share in shares) / math.log(len(histogram))


def objection(histogram: Sequence[int], baseline: Sequence[int]) -> str:
    """Return why a run's answers should not replace its baseline's, or "".

    Args:
        histogram: images of each of the run's classes (K,).
        baseline: images of each of the baseline's; the order does not matter.
    """
    found, before = (sum(count > 0 for count in one) for one in (histogram, baseline))
    if not found or not before:
        return ""
    if found < before:
        return f"it answers {found} of {len(histogram)} classes, the baseline {before}"
    return crowding(histogram, baseline)


def crowding(histogram: Sequence[int], baseline: Sequence[int]) -> str:
    """Return that a run's answers (K,) are too uneven beside its baseline's (K,), or ""; for a run under way too."""
    if is_less_even(evenness(histogram), evenness(baseline)):
        return f"it crowds the images into fewer classes than the baseline: {max(histogram):,} in the largest"
    return ""


def is_less_even(run: float, baseline: float) -> bool:
    """Tell whether a run's evenness has fallen too far below its baseline's."""
    return run < baseline - LARGEST_LOSS
