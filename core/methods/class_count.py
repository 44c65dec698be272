"""How many classes there are, from the label-free scores of labelings with different K.

The project page and the released code of TURTLE take K as known; this is our own rule. The score
falls as K grows, whatever the images are: more boundaries, more images near one. So the highest
score would always choose two classes. Two corrections make scores of different K comparable:

1. For chance: (score - s) / (1 - s), where s is the share of the largest class, so that answering
   that class always scores 0.
2. For the fall: the height above the straight line, over log K, between the first and the last K.
   Splitting a true class makes classes that cannot be told apart, and merging true ones does not:
   at the right K the curve stands highest above its own trend. An end of the range wins only where
   nothing between stands out.

On the synthetic clusters of the tests it finds the true number; on real photographs with a weak
backbone the curve is flat, which is why every K tried is kept and shown.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from core.methods.trials import Outcome

COARSE_TRIALS, FINE_TRIALS = 10, 4
DEFAULT_MOST, IMAGES_A_CLASS = 50, 10
"""Where the person sets no upper end: so many classes, or fewer where that leaves a class fewer images."""
SPAN, FEWEST_IMAGES_A_CLASS = 4, 2
"""But at least so many times the lower end, as far as that leaves a class so many images: of one number nothing can be
chosen."""


def coarse_counts(fewest: int, most: int, num_images: int) -> list[int]:
    """Return at most ten K, evenly over log K; 0 for an end lets us choose it."""
    low = min(max(fewest, 2), num_images)
    open_end = max(min(DEFAULT_MOST, num_images // IMAGES_A_CLASS),
                   min(SPAN * low, num_images // FEWEST_IMAGES_A_CLASS))
    high = min(max(most or open_end, low), num_images)
    return sorted({round(count) for count in np.geomspace(low, high, COARSE_TRIALS)})


def fine_counts(tried: Sequence[int], best: int) -> list[int]:
    """Return at most four more K between the best and its neighbours among those tried."""
    tried = sorted(tried)
    place = tried.index(best)
    below, above = tried[max(place - 1, 0)], tried[min(place + 1, len(tried) - 1)]
    between = [count for count in range(below + 1, above) if count != best]
    if len(between) <= FINE_TRIALS:
        return between
    return sorted({between[round(index)] for index in np.linspace(0, len(between) - 1, FINE_TRIALS + 2)[1:-1]})


def heights(outcomes: Sequence[Outcome]) -> list[float]:
    """Return how far each K's corrected score stands above the trend, in the outcomes' order."""
    at = [math.log(outcome.trial.num_classes) for outcome in outcomes]
    corrected = [corrected_for_chance(outcome) for outcome in outcomes]
    first, last = int(np.argmin(at)), int(np.argmax(at))
    trend = np.interp(at, [at[first], at[last]], [corrected[first], corrected[last]])
    return [float(value - line) for value, line in zip(corrected, trend, strict=True)]


def choose_count(outcomes: Sequence[Outcome]) -> int:
    """Return the K that stands highest above the trend; of equals, the one with the better score."""
    above = heights(outcomes)
    best = max(range(len(outcomes)), key=lambda index: (round(above[index], 9), corrected_for_chance(outcomes[index])))
    return outcomes[best].trial.num_classes


def corrected_for_chance(outcome: Outcome) -> float:
    """Return the score on a scale where always answering the largest class is 0 and no mistake is 1."""
    if outcome.score is None or outcome.largest_share >= 1:
        return 0.0
    return (outcome.score - outcome.largest_share) / (1 - outcome.largest_share)
