"""The histograms a run's page draws: images in each class beside the baseline's, and how sure the answers are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from webapp.review.names import class_names, has_class_list, name_at
from webapp.review.queries import matched_classes, same_words
from webapp.runs.models import Run

SHOWN_CLASSES = 40
SWALLOWED_SHARE = 0.5
"""A class that holds more than this share of the images, and three times its even share, is named."""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One class in a histogram; widths are percentages of the longest bar."""

    name: str
    count: int
    width: float
    baseline_count: int | None
    baseline_width: float


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """The classes' bars, the largest first where there are too many to show."""

    bars: list[Bar]
    hidden: int
    alarms: list[str]

    @property
    def has_baseline(self) -> bool:
        """Tell whether there is anything beside the run's own counts."""
        return any(bar.baseline_count is not None for bar in self.bars)


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of the confidence histogram, placed on a drawing of 100 x 40."""

    percent: int
    count: int
    left: float
    width: float
    top: float
    height: float


def histogram(run: Run) -> Histogram | None:
    """Return the run's class histogram as it stands now, beside its baseline's; None before the first answer."""
    counts = run.result.get("histogram") or run.histogram
    if not counts:
        return None
    names = class_names(run)
    baseline = _baseline_counts(run, len(counts))
    longest = max([1, *counts, *(baseline or [])])
    bars = [Bar(name=name_at(names, index), count=count,
                width=round(100 * count / longest, 2), baseline_count=baseline[index] if baseline else None,
                baseline_width=round(100 * baseline[index] / longest, 2) if baseline else 0.0)
            for index, count in enumerate(counts)]
    alarms = _alarms(bars)
    hidden = max(0, len(bars) - SHOWN_CLASSES)
    if hidden:
        bars = sorted(bars, key=lambda bar: -bar.count)[:SHOWN_CLASSES]
    return Histogram(bars=bars, hidden=hidden, alarms=alarms)


def confidence_columns(run: Run) -> list[Column]:
    """Return the confidence histogram's columns, from 0 to 100 %."""
    counts = run.result.get("confidence_histogram") or []
    if not counts:
        return []
    highest, width = max([1, *counts]), 100 / len(counts)
    return [Column(percent=round(place * width), count=count, left=round(place * width + 0.3, 3),
                   width=round(width - 0.6, 3), top=round(40 - 40 * count / highest, 2),
                   height=round(40 * count / highest, 2))
            for place, count in enumerate(counts)]


def _baseline_counts(run: Run, length: int) -> list[int] | None:
    """Return the baseline's histogram in the run's own order of classes, or None.

    Groups of a baseline that share no image with the class they are matched to, and such that are matched to none, take
    the places that are left, so that the bars add up to its images.
    """
    counts = (run.result.get("baseline") or {}).get("histogram")
    if not counts and run.baseline is not None:
        counts = run.baseline.result.get("histogram")
    if not counts:
        return None
    same_numbers = has_class_list(run) if run.baseline is None else same_words(run, run.baseline)
    if same_numbers:
        return _fitted(counts, length)
    if not run.is_terminal:
        return None  # clusters still change their numbers: nothing to set them beside
    matched = {theirs: ours for theirs, ours in (matched_classes(run, run.baseline) or {}).items()
               if theirs < len(counts) and ours < length}
    if not matched:
        return None
    left = (place for place in range(length) if place not in set(matched.values()))
    matched |= dict(zip([theirs for theirs in range(len(counts)) if theirs not in matched], left))
    aligned = [0] * length
    for theirs, ours in matched.items():
        aligned[ours] = counts[theirs]
    return aligned


def _fitted(counts: Sequence[int], length: int) -> list[int]:
    return [*counts[:length], *[0] * (length - len(counts))]


def _alarms(bars: Iterable[Bar]) -> list[str]:
    """Say which classes have died or swallow the others."""
    bars = list(bars)
    total = sum(bar.count for bar in bars)
    if not total:
        return []
    empty = [bar.name for bar in bars if not bar.count]
    alarms = [f"{bar.name} holds {100 * bar.count / total:.0f} % of the images." for bar in bars
              if bar.count > total * max(SWALLOWED_SHARE, 3 / len(bars))]
    if empty:
        few = ", ".join(empty[:5]) + (" …" if len(empty) > 5 else ".")
        alarms.append(f"{len(empty)} of {len(bars)} classes {'has' if len(empty) == 1 else 'have'} no image: {few}")
    return alarms
