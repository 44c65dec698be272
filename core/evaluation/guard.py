"""Never worse than the baseline: what says that a run's answers should not replace the baseline's.

Rules chosen on committed rows (docs/decisions.md, 2026-11-21, 2026-11-28, 2026-11-30, 2026-12-01). Runs of an earlier
preset that lost accuracy spread their images less evenly over the classes than the baseline did, as in Musgrave et al.,
"Three New Validators", 2022 (arXiv:2208.07360), where the balance of the answered classes is one. Where groups that
know no names hardly confirm the baseline's names (after Jiang et al., ICLR 2022, arXiv:2106.13799), a method that
learns from them learns mistakes. Of two groupings, one that an encoder which took no part finds much harder to repeat
is not to be preferred. What learnt from a person's labels is held against the baseline by what is estimated of both.
And what is finetuned without replay has lost right answers so often that nothing but a sample speaks for it (Li et al.,
2021, and our rows). All of these are signs: where a random sample shows which of the two has more right, it settles the
matter (`core.evaluation.paired`). The label-free score did not tell such runs apart. No torch here: the web imports it.

Symbols: K classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from core.evaluation.paired import Difference

LARGEST_LOSS = 0.05
"""Of evenness against the baseline's: more is the beginning of collapse. Runs of an earlier preset that were harmed
lost 0.098 at least. Of the committed ones with names five lose more than this, 0.074 to 0.213, and all five gained 5 to
9 points: the rule is careful, not right."""
LARGEST_LOSS_OF_TAUGHT = 0.15
"""The same of what learnt from a person's labels, also against those, for it may be as uneven as they are. Of the
committed rows three lost 0.20 to 0.43, on paintings, with more than half of all images in one of seven classes, and 7
to 22 points; the others lost 0.12 at most, and gained and lost alike."""
LEAST_CONFIRMED = 0.25
"""Of the baseline's answers by groups that know no names, beyond chance. Of the targets that settings are tuned on,
waste, where runs were harmed, has 0.23, paintings, where they gained, 0.29."""

LARGEST_DOUBT = 0.02
"""Of another encoder's score of the groups against its score of the baseline's (`core.evaluation.second_opinion`). Of
the 62 committed results that gained two lose more, 0.032 and 0.047, the others 0.015 at most; of those that lost more
than 2 points all but naive finetuning's on cartoons lose more, 0.027 at least. It was 0.03 before the third seeds."""

SMALLEST_SPREAD = 0.02
"""Of a batch's embeddings (`core.losses.spread`). Finetuning starter-mae on paintings never fell below 0.07; with five
hundred times the learning rate it fell below 0.015 at once and for good."""


@dataclass(frozen=True)
class Objection:
    """What to do instead, and why: two clauses without a full stop."""

    advice: str
    reason: str

    def __str__(self) -> str:
        return f"{self.advice}: {self.reason}."


NAMES_DO_NOT_FIT = Objection(
    advice="Trust neither this nor the baseline before a spot check",
    reason="the class names hardly fit the groups that the images form by themselves, so there was little to learn "
           "from them; groups without names, as TURTLE finds them, may say more")


WITHOUT_REPLAY = Objection(
    advice="Keep the baseline unless a spot check shows a gain",
    reason="without a replay collection the model forgets what it had learnt before: of eight public collections, "
           "three runs each, such groups were 2.4 points worse than the untouched model's on average, 24 at worst")
"""Of the 24 committed rows 14 gained, 6 points at most. No sign tells which (docs/decisions.md, 2026-12-01)."""


def evenness(histogram: Sequence[int]) -> float:
    """Return the entropy of images over K classes, divided by log K: 1 for equal shares, 0 for a single class."""
    total = sum(histogram)
    if len(histogram) < 2 or not total:
        return 0.0
    shares = [count / total for count in histogram if count]
    return -sum(share * math.log(share) for share in shares) / math.log(len(histogram))


def objection(histogram: Sequence[int], baseline: Sequence[int], confirmed: float | None = None,
              taught: bool = False, opinions: tuple[float, float] | None = None,
              label_evenness: float | None = None) -> Objection | None:
    """Return why a run's answers should not replace its baseline's, or None.

    Args:
        histogram: images of each of the run's classes (K,).
        baseline: images of each of the baseline's; the order does not matter.
        confirmed: share of the baseline's answers that groups without names confirm, 0 … 1; None where it is not known,
            or the baseline reads no names.
        taught: whether the run learnt from a person's labels. Then it owes the baseline's names nothing, and answers
            as uneven as the person's are no collapse.
        opinions: another encoder's score of the run's groups and of the baseline's, 0 … 1; None where it was not asked.
        label_evenness: of the labels it learnt from, 0 … 1; None where it is not known.
    """
    found, before = (sum(count > 0 for count in one) for one in (histogram, baseline))
    if not found or not before:
        return None
    if found < before:
        return collapse(f"it answers {found} of {len(histogram)} classes, the baseline {before}")
    if taught:
        return None if label_evenness is None else _beside_labels(histogram, baseline, label_evenness)
    if confirmed is not None and is_hardly_confirmed(confirmed, len(histogram)):
        return NAMES_DO_NOT_FIT
    crowded = crowding(histogram, baseline)
    if crowded:
        return collapse(crowded)
    return doubt(*opinions) if opinions is not None and is_doubted(*opinions) else None


def _beside_labels(histogram: Sequence[int], baseline: Sequence[int], label_evenness: float) -> Objection | None:
    """Return the objection to answers (K,) far more uneven than both the baseline's and the labels learnt from."""
    if is_less_even(evenness(histogram), min(evenness(baseline), label_evenness), taught=True):
        return collapse(f"it crowds the images into fewer classes than the baseline and the labels it learnt from: "
                        f"{max(histogram):,} in the largest")
    return None


def collapse(sign: str) -> Objection:
    """Return the objection to a run whose answers show the beginning of a collapse."""
    return Objection(advice="Keep the baseline",
                     reason=f"{sign}, as runs did that lost right answers on public collections")


def doubt(run: float, baseline: float) -> Objection:
    """Return the objection to groups that another encoder finds much harder to repeat (both scores 0 … 1)."""
    return Objection(advice="Keep the baseline",
                     reason=f"an encoder that took no part can repeat {100 * run:.0f} % of these groups and "
                            f"{100 * baseline:.0f} % of the baseline's, so they may follow what one encoder alone sees")


def outdone() -> Objection:
    """Return the objection to a run of which a smaller accuracy is estimated than of its baseline."""
    return Objection(advice="Keep the baseline",
                     reason="fewer of these answers are estimated right than of the baseline's: the labels may be too "
                            "few to learn from, or badly placed")


def measured_loss(found: Difference) -> Objection:
    """Return the objection to a run that a random sample shows to have fewer right than its baseline."""
    return Objection(advice="Keep the baseline",
                     reason=f"of {found.answered:,} random images that a person named the baseline has more right, by "
                            f"{-100 * found.high:.0f} to {-100 * found.low:.0f} points with 95 % confidence")


def crowding(histogram: Sequence[int], baseline: Sequence[int]) -> str:
    """Return that a run's answers (K,) are too uneven beside its baseline's (K,), or ""; for a run under way too."""
    if is_less_even(evenness(histogram), evenness(baseline)):
        return f"it crowds the images into fewer classes than the baseline: {max(histogram):,} in the largest"
    return ""


def coinciding(spread: float | None) -> str:
    """Return that what an encoder makes of different images all but coincides, or ""; for a run under way.

    Args:
        spread: of the newest batch; None where the run knows none.
    """
    if spread is None or spread >= SMALLEST_SPREAD:
        return ""
    return "what it makes of different images all but coincides; a lower learning rate may prevent that"


def is_less_even(run: float, baseline: float, taught: bool = False) -> bool:
    """Tell whether a run's evenness has fallen too far below its baseline's; `taught` by a person's labels or not."""
    return run < baseline - (LARGEST_LOSS_OF_TAUGHT if taught else LARGEST_LOSS)


def is_doubted(run: float, baseline: float) -> bool:
    """Tell whether another encoder finds a run's groups that much harder to repeat than its baseline's."""
    return run < baseline - LARGEST_DOUBT


def is_hardly_confirmed(share: float, num_classes: int) -> bool:
    """Tell whether groups confirm so few of the baseline's answers, 0 … 1, that chance would do almost as well."""
    by_chance = 1 / num_classes
    return share - by_chance < LEAST_CONFIRMED * (1 - by_chance)
