"""What naming the most telling images first brings: ``python -m benchmarks.telling --data DIR``, in ten minutes.

On each target four images a class, as many as Semi-MAE is measured with, are drawn at random (five seeds) or taken in
the order of `core.evaluation.telling`, by what one bundled encoder sees or both; logistic regression on starter-mae's
features learns from their labels and is measured on all others. Nothing was tuned. Rows in ``results/telling.jsonl``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import rows
from benchmarks.encoders import local
from benchmarks.targets import LABELS_PER_CLASS, TARGETS, Target, load
from core.backbones.features import features
from core.backbones.load import load_backbone
from core.evaluation.probe import fit
from core.evaluation.telling import most_telling

RESULTS = rows.RESULTS / "telling.jsonl"
LEARNER, OTHER = "starter-mae", "starter-clip"
SEEDS = range(5)
SPACES = {"telling to starter-clip": (OTHER,), "telling to starter-mae": (LEARNER,),
          "telling to both": (LEARNER, OTHER)}


def choices(spaces: Mapping[str, NDArray[np.float32]], count: int) -> dict[tuple[str, int], NDArray[np.int64]]:
    """Return the images that are named, by (way, seed)."""
    total = len(spaces[LEARNER])
    drawn = {("random", seed): np.random.default_rng(seed).permutation(total)[:count] for seed in SEEDS}
    return drawn | {(way, 0): np.array(most_telling([spaces[name] for name in seen], count))
                    for way, seen in SPACES.items()}


def measure(target: Target) -> None:
    """Add a row for each way and seed."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        spaces = {name: features(load_backbone(name), target.images, local(Path(folder), 0)).numpy()
                  for name in (LEARNER, OTHER)}
    count = LABELS_PER_CLASS * len(target.class_names)
    for (way, seed), shown in choices(spaces, count).items():
        asked = np.setdiff1d(np.arange(len(target.truth)), shown)
        answers = fit(spaces[LEARNER][shown], target.truth[shown]).answer(spaces[LEARNER][asked])
        found = {"accuracy": float((answers == target.truth[asked]).mean()),
                 "classes_seen": len(np.unique(target.truth[shown])) / len(target.class_names)}
        rows.append(RESULTS, rows.Row(
            target=target.name, method=way, seed=seed, settings={"backbone": LEARNER, "labels": count}, metrics=found,
            label_free_score=None, seconds=time.monotonic() - began, weights=rows.weights_digest(LEARNER),
            processor=rows.processor()))


def table(found: list[rows.Row]) -> str:
    """Return the rows as a table: percent right, mean over seeds with its spread."""
    ways = list(dict.fromkeys(row.method for row in found))
    lines = [f"| | {' | '.join(TARGETS)} | mean |", "|---|" + "--:|" * (len(TARGETS) + 1)]
    for way in ways:
        by_target = [[100 * row.metrics["accuracy"] for row in found if (row.method, row.target) == (way, name)]
                     for name in TARGETS]
        cells = [f"{np.mean(some):.1f}" + (f" ± {np.std(some):.1f}" if len(some) > 1 else "") for some in by_target]
        lines.append(f"| {way} | {' | '.join(cells)} | {np.mean([np.mean(some) for some in by_target]):.1f} |")
    return "\n".join(lines)


def main() -> int:
    """Measure what is not measured yet, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.telling", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of target-*.tar")
    parser.add_argument("--cache", type=Path, default=Path(".benchmarks"))
    given = parser.parse_args()
    done = {row.target for row in rows.read(RESULTS)}
    for name in TARGETS:
        if name not in done:
            measure(load(name, given.data, given.cache))
    sys.stdout.write(table(list(rows.read(RESULTS))) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
