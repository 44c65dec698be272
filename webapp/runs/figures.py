"""What a run's row says, as the figures and sentences its pages show. Reads rows, writes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from webapp.review.names import class_names, has_class_list
from webapp.review.queries import matched_classes
from webapp.runs.models import Run
from webapp.runs.words import title_of

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


@dataclass(frozen=True, kw_only=True)
class Score:
    """The label-free score of a run beside its baseline's, in points of 0 … 100."""

    own: float | None
    baseline: float | None

    @property
    def is_better(self) -> bool | None:
        """Tell whether the run beats its baseline; None where one of the two is unknown."""
        if self.own is None or self.baseline is None:
            return None
        return self.own > self.baseline


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One figure measured on known answers, beside the baseline's."""

    label: str
    unit: str
    own: float
    baseline: float | None


MEASURES = {
    "accuracy": ("right answers (measured accuracy)", "%"),
    "hungarian_accuracy": ("right answers, clusters matched to classes (measured accuracy)", "%"),
    "mean_per_class": ("mean over classes (measured accuracy)", "%"),
    "nmi": ("normalised mutual information", ""),
    "ami": ("adjusted mutual information", ""),
    "ari": ("adjusted Rand index", ""),
}
"""Key of the worker's figures -> what the page calls it, and its unit."""


def histogram(run: Run) -> Histogram | None:
    """Return the run's class histogram as it stands now, beside its baseline's; None before the first answer."""
    counts = run.result.get("histogram") or run.histogram
    if not counts:
        return None
    names = class_names(run)
    baseline = _baseline_counts(run, len(counts))
    longest = max([1, *counts, *(baseline or [])])
    bars = [Bar(name=names[index] if index < len(names) else f"cluster {index + 1}", count=count,
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


def score(run: Run) -> Score:
    """Return the run's label-free score and its baseline's."""
    baseline = (run.result.get("baseline") or {}).get("label_free_score")
    if baseline is None and run.baseline is not None:
        baseline = run.baseline.result.get("label_free_score")
    return Score(own=_points(run.result.get("label_free_score")), baseline=_points(baseline))


def measures(run: Run, part: str = "measured") -> list[Measure]:
    """Return what was measured on known answers; nothing where there are none.

    Args:
        run: a finished one.
        part: "measured" for the images adapted to, "held_out" for those kept out.
    """
    own = run.result.get(part) or {}
    baseline = (run.baseline.result.get(part) or {}) if run.baseline is not None else {}
    found = []
    for name, (label, unit) in MEASURES.items():
        if own.get(name) is None:
            continue
        factor, other = (100 if unit else 1), baseline.get(name)
        found.append(Measure(label=label, unit=unit, own=factor * own[name],
                             baseline=None if other is None else factor * other))
    return found


def headline(run: Run) -> str:
    """Return the one sentence a person can repeat. What was not measured is never called accuracy."""
    result, title = run.result, title_of(run.method)
    answered = sum(result.get("histogram") or [])
    measured = next(iter(measures(run)), None)
    if measured is not None:
        than = f"; {title_of(run.baseline.method)} had {measured.baseline:.1f}\u00a0%" if (
            run.baseline and measured.baseline is not None) else ""
        return f"Measured {measured.own:.1f}\u00a0% right where the answers are known{than}."
    compared, found = score(run), result.get("classes_found")
    of = f"{found} of {result.get('num_classes')} classes" if result.get("num_classes") else f"{found} classes"
    start = f"{title} sorted {answered:,} images into {of}"
    if compared.own is None:
        return f"{start}."
    if compared.is_better is None or run.baseline is None:
        return f"{start}; label-free score {compared.own:.1f}."
    verdict = "better than" if compared.is_better else "no better than"
    return (f"{start}, {verdict} {title_of(run.baseline.method)} by the label-free score: "
            f"{compared.own:.1f} against {compared.baseline:.1f}.")


def suggested_names(run: Run) -> list[tuple[str, list[str]]]:
    """Return each cluster's present name and the names its pictures suggest."""
    suggestions = run.result.get("suggested_names") or []
    return [(name, list(words)) for name, words in zip(class_names(run), suggestions, strict=False) if words]


def _points(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _baseline_counts(run: Run, length: int) -> list[int] | None:
    """Return the baseline's histogram in the run's own order of classes, or None."""
    counts = (run.result.get("baseline") or {}).get("histogram")
    if not counts and run.baseline is not None:
        counts = run.baseline.result.get("histogram")
    if not counts:
        return None
    if has_class_list(run):
        return _fitted(counts, length)
    if not run.is_terminal:
        return None  # clusters still change their numbers: nothing to set them beside
    matched = matched_classes(run) or {}
    aligned = [0] * length
    for theirs, ours in matched.items():
        if theirs < len(counts) and ours < length:
            aligned[ours] = counts[theirs]
    return aligned if matched else None


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
        few = ", ".join(empty[:5]) + (" …" if len(empty) > 5 else "")
        alarms.append(f"{len(empty)} of {len(bars)} classes have no image: {few}.")
    return alarms
