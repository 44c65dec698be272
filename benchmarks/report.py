"""Write ``docs/results.md`` from the committed rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks import rows
from benchmarks.bounds import ACCURACY, Table, all_bounds
from benchmarks.targets import ARCHIVES, TARGETS, TUNED_ON

RESULTS_PAGE = Path(__file__).parents[1] / "docs" / "results.md"
COLUMNS = ("zero-shot, 1 template", "zero-shot, 7 templates", "zero-shot, 80 templates", "zero-shot, synonyms",
           "k-means", "TURTLE", "MUST st, no fairness", "MUST st", "MUST st+mim", "MUST", "MUST, no fairness",
           "linear probe")
HEADER = """# Results

Written by `make bench-accuracy DATA=DIR` from the rows in `benchmarks/results/`; `make bench-check` prints
the bounds again from the same rows. Percent right on the very images that were adapted to (transductive),
mean and spread (standard deviation) over three seeds. Methods with class names are scored by accuracy;
k-means and TURTLE, which get only the number of classes, by Hungarian accuracy. All on starter-clip, 20,000
image views a MUST run. The linear probe is 5-fold logistic regression on the truth, features
standardised: the ceiling of frozen features.

*Tuned on* marks the targets that settings were tuned on; the others were run once with the chosen preset.
That preset is the third: two earlier ones had been run on them too, and what they showed is in `docs/decisions.md`.
Where MUST's figure is zero-shot's, the names had drifted and zero-shot was kept.
"""


def cell(scores: list[float]) -> str:
    """Return mean and spread, or a dash."""
    if not scores:
        return "–"
    return f"{np.mean(scores):.1f}" + (f" ± {np.std(scores):.1f}" if len(scores) > 1 else "")


def lines(table: Table) -> Iterator[str]:
    """Yield the table, one method a row."""
    heads = [f"{name} *(tuned on)*" if name in TUNED_ON else name for name in TARGETS]
    yield f"| | {' | '.join(heads)} | mean of seven |"
    yield "|---|" + "---|" * (len(TARGETS) + 1)
    for method in COLUMNS:
        mean = table.mean_over(ARCHIVES, method)
        shown = " | ".join(cell(table.scores(name, method)) for name in TARGETS)
        title = "MUST (st+mim+align)" if method == "MUST" else method
        yield f"| {title} | {shown} | {'–' if mean is None else f'{mean:.1f}'} |"


def write() -> None:
    """Write the page."""
    found = list(rows.current(rows.read(ACCURACY)))
    seconds = {method: np.mean([row.seconds for row in found if row.method == method])
               for method in COLUMNS if any(row.method == method for row in found)}
    bounds = [str(bound) for bound in all_bounds()]
    body = [HEADER, *lines(Table(found)), "", "## Bounds", "", "```", *bounds, "```", "",
            "## Seconds a run, on 2 cores", "",
            *(f"- {method}: {value:.0f}" for method, value in seconds.items()), ""]
    RESULTS_PAGE.parent.mkdir(exist_ok=True)
    RESULTS_PAGE.write_text("\n".join(body))
