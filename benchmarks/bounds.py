"""What the committed rows must show: one line a bound, ``ok`` or ``short``, the figure and the bound.

``python -m benchmarks.bounds`` prints them from the committed rows in seconds.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks import rows
from benchmarks.targets import ARCHIVES, DIGITS, TARGETS

ACCURACY = rows.RESULTS / "accuracy.jsonl"
STARTER = rows.RESULTS / "starter.jsonl"
ENCODERS = rows.RESULTS / "encoders.jsonl"
BACKBONE = "starter-clip"
BASELINE = "zero-shot, 80 templates"
"""What MUST begins with, and what its runs are compared with one by one."""
ZERO_SHOTS = ("zero-shot, 1 template", "zero-shot, 7 templates", BASELINE)
ABLATIONS = ("MUST", "MUST st+mim", "MUST st", "MUST st, no fairness")
"""The paper's Table 5 and 7, best first; MUST is st+mim+align."""
ADEQUATE = {"CIFAR-100": 45.0, "cifar10": 45.0, DIGITS: 60.0, "art-painting": 35.0}


@dataclass(frozen=True)
class Bound:
    """One claim; `figure` is None while rows for it are missing. One of `least` and `most` is given."""

    claim: str
    figure: float | None
    least: float | None = None
    most: float | None = None

    @property
    def holds(self) -> bool:
        """Tell whether the figure is there and on the right side."""
        return (self.figure is not None
                and (self.least is None or self.figure >= self.least - 1e-9)
                and (self.most is None or self.figure <= self.most + 1e-9))

    def __str__(self) -> str:
        if self.most is None:
            figure, limit = "{:+.1f}", f"at least {self.least:+.1f}"
        else:
            figure, limit = "{:,.1f}", f"at most {self.most:,.1f}"
        said = "not measured" if self.figure is None else figure.format(self.figure)
        return f"{'ok   ' if self.holds else 'short'} {self.claim}: {said} ({limit})"


class Table:
    """Mean percentages of a row file by target and method.

    Attributes:
        metrics: which of a row's metrics counts: the first that it has; a row with none of them is left out.
    """

    def __init__(self, found: list[rows.Row], metrics: tuple[str, ...] = ("accuracy", "hungarian_accuracy")) -> None:
        self._found: dict[tuple[str, str], list[float]] = {}
        for row in found:
            key = next((key for key in metrics if key in row.metrics), None)
            if key is not None:
                self._found.setdefault((row.target, row.method), []).append(100 * row.metrics[key])

    def scores(self, target: str, method: str) -> list[float]:
        """Return one percentage a seed."""
        return self._found.get((target, method), [])

    def mean(self, target: str, method: str) -> float | None:
        """Return the mean over seeds, or None where nothing was measured."""
        scores = self.scores(target, method)
        return float(np.mean(scores)) if scores else None

    def mean_over(self, targets: tuple[str, ...], method: str) -> float | None:
        """Return the mean over targets, or None where one is missing."""
        means = [self.mean(target, method) for target in targets]
        known = [one for one in means if one is not None]
        return float(np.mean(known)) if len(known) == len(means) else None


def difference(first: float | None, second: float | None) -> float | None:
    """Subtract where both were measured."""
    return None if first is None or second is None else first - second


def best_zero_shot(table: Table) -> str:
    """Return which number of templates is best on the mean of all targets, of those that are measured everywhere."""
    means = {title: mean for title in ZERO_SHOTS if (mean := table.mean_over(TARGETS, title)) is not None}
    return max(means, key=means.__getitem__, default=BASELINE)


def accuracy_bounds(table: Table) -> Iterator[Bound]:
    """Yield what MUST, against the best zero-shot there is, and TURTLE must reach."""
    zero_shot = best_zero_shot(table)
    before, after = table.mean(DIGITS, zero_shot), table.mean(DIGITS, "MUST")
    removed = None if before is None or after is None else 100 * (after - before) / (100 - before)
    yield Bound(f"MUST removes errors of {zero_shot}, on digits, %", removed, 40)
    yield Bound(f"MUST over {zero_shot}, mean of seven targets, points",
                difference(table.mean_over(ARCHIVES, "MUST"), table.mean_over(ARCHIVES, zero_shot)), 4)
    gains = [difference(table.mean(name, "MUST"), table.mean(name, zero_shot)) for name in TARGETS]
    known = [gain for gain in gains if gain is not None]
    yield Bound(f"MUST over {zero_shot}, worst target, points", min(known) if len(known) == len(gains) else None, -1)
    yield Bound("TURTLE over k-means, mean of all targets, points",
                difference(table.mean_over(TARGETS, "TURTLE"), table.mean_over(TARGETS, "k-means")), 0)
    for better, worse in itertools.pairwise(ABLATIONS):
        yield Bound(f"{better} over {worse}, mean of all targets, points",
                    difference(table.mean_over(TARGETS, better), table.mean_over(TARGETS, worse)), 0)


def starter_bounds(table: Table, starter: Table) -> Iterator[Bound]:
    """Yield what the starter models must reach, zero-shot, and how much other words may cost."""
    for name, least in ADEQUATE.items():
        figure = starter.mean(name, "zero-shot") if name == "CIFAR-100" else table.mean(name, BASELINE)
        yield Bound(f"starter-clip zero-shot on {name}, %", figure, least)
    for name in ("art-painting", "cifar10"):
        yield Bound(f"synonyms instead of names on {name}, points",
                    difference(table.mean(name, "zero-shot, synonyms"), table.mean(name, BASELINE)), -10)


def encoder_bounds(table: Table, found: list[rows.Row]) -> Iterator[Bound]:
    """Yield what MAE-CT, unsupervised finetuning and Semi-MAE must reach; `table` is that of the label-free methods."""
    for metric, title in (("clusters", "k-means accuracy"), ("knn", "k-NN")):
        of = Table(found, (metric,))
        gains = [difference(of.mean(name, "MAE-CT"), of.mean(name, "starter-mae")) for name in ARCHIVES]
        known = [gain for gain in gains if gain is not None]
        yield Bound(f"MAE-CT raises {title} over starter-mae, targets of seven",
                    sum(gain > 0 for gain in known) if len(known) == len(gains) else None, 5)
    shots = Table(found, ("shots",))
    for better, worse, what in (("finetuning", "finetuning, naive", "finetuning over naive"),
                                ("finetuning, replay", "finetuning, naive", "replay over naive"),
                                ("finetuning", "finetuning, replay", "mixing over none")):
        yield Bound(f"{what}, two labels a class, mean of all targets, points",
                    difference(shots.mean_over(TARGETS, better), shots.mean_over(TARGETS, worse)), 0)
    few = Table(found, ("accuracy",))
    semi = few.mean_over(TARGETS, "Semi-MAE")
    yield Bound("Semi-MAE over FixMatch, four labels a class, mean of all targets, points",
                difference(semi, few.mean_over(TARGETS, "FixMatch")), 0)
    yield Bound("Semi-MAE over MUST, which has none, mean of all targets, points",
                difference(semi, table.mean_over(TARGETS, "MUST")), 0)
    yield Bound("Semi-MAE from MAE-CT's encoder over from starter-mae, mean of all targets, points",
                difference(few.mean_over(TARGETS, "Semi-MAE from MAE-CT"), semi), 0)


def all_bounds() -> list[Bound]:
    """Return every bound, from the committed rows."""
    table = Table(list(rows.current(rows.read(ACCURACY))))
    starter = Table(list(rows.current(rows.read(STARTER))))
    encoders = list(rows.current(rows.read(ENCODERS)))
    return [*accuracy_bounds(table), *starter_bounds(table, starter), *encoder_bounds(table, encoders)]


def print_all() -> int:
    """Print a line a bound; return the exit code, 1 when one is short."""
    found = all_bounds()
    sys.stdout.write("".join(f"{bound}\n" for bound in found))
    return 0 if all(bound.holds for bound in found) else 1


if __name__ == "__main__":
    sys.exit(print_all())
