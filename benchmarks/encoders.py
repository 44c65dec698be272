"""Measure what adapts an encoder, or learns from a few labels: ``python -m benchmarks.encoders --data DIR``.

MAE-CT, unsupervised finetuning and Semi-MAE, each beside what its paper compares it with, all on starter-mae; the
encoder as it is shipped answers by k-means, which is what the application compares them with.
Resumable by (target, method, seed): a cell that is in ``results/encoders.jsonl`` is not run again. Every method
sees about 20,000 images a run, MAE-CT after 60,000 of further pretraining: the papers' schedules, shortened with the
same shape.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

import numpy as np
import torch

from benchmarks import bounds, few_labels, report, rows
from benchmarks.targets import TARGETS, TUNED_ON, Target, load
from core.backbones.features import features
from core.backbones.load import load_backbone
from core.backbones.start import Start
from core.catalog import METHODS, parse
from core.classifier import Classifier
from core.data.images import ImageSet, open_images
from core.evaluation.evidence import Backbone, Evidence
from core.evaluation.measures import MEASURES
from core.evaluation.metrics import evaluate
from core.evaluation.second_opinion import judge_name, read_judge
from core.evaluation.signals import group_agreement, signals
from core.methods.resolve import resolve
from core.presets.table import recommend
from core.problem import Problem
from core.shell import LocalRun
from core.starter import replay

BACKBONE = "starter-mae"
JUDGE = judge_name((BACKBONE,)) or ""
SHIPPED = "kmeans"
"""What answers with the encoder as it is shipped, which learns nothing."""
SEEDS = (0, 1, 2)
EPOCHS = ("epochs", "preparing_epochs")
FIRST_PRESET: dict[str, object] = {"mask_ratio": 0.0, "pretraining_epochs": 0.0}
"""MAE-CT's of 2026-11-21, with a third of today's epochs."""
FIGURES = {"clusters": "cluster_accuracy", "knn": "accuracy", "shots": "2_shot", "probe": "accuracy",
           "retrieval": "top_5", "silhouette": "silhouette"}
"""What is measured of an encoder's features: the measure, and which of its figures the tables show first."""


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One row of the table.

    Attributes:
        title: what the table calls it.
        method: a key of `core.catalog.METHODS`.
        switches: settings that differ from the recommended ones.
        replays: whether it is given a sample of what the starter learnt from.
        labelled: whether it is given a few labels of each class (`drawn`), and is scored by its answers to the rest.
        begins_with: the title of the contender whose model, of the same target and seed, it begins with.
        longer: how many times the recommended epochs it is given.
        attempt: whether it was tried to better a result: with one seed, on targets that may be tuned on.
    """

    title: str
    method: str
    switches: Mapping[str, object] = field(default_factory=dict)
    replays: bool = False
    labelled: bool = False
    begins_with: str = ""
    longer: float = 1.0
    attempt: bool = False

    @property
    def seeds(self) -> tuple[int, ...]:
        """Return the seeds it is run with; one where nothing is learnt."""
        return SEEDS if self.method != SHIPPED and not self.attempt else SEEDS[:1]

    @property
    def targets(self) -> tuple[str, ...]:
        """Return the targets it is measured on."""
        return TUNED_ON if self.attempt else TARGETS

    def settings(self, target: Target) -> dict[str, object]:
        """Return its settings for a target."""
        chosen = recommend(self.method, len(target.images), BACKBONE)[1]
        if self.method == SHIPPED:
            return {**chosen, "spaces": BACKBONE}
        longer = {name: round(float(chosen[name] or 0) * self.longer, 2) for name in EPOCHS if name in chosen}
        return {**chosen, **longer, "backbone": BACKBONE, "mirror": target.mirror, **self.switches}


ATTEMPTS = (
    Contender(title="MAE-CT, first preset", method="maect", switches=FIRST_PRESET, longer=1 / 3, attempt=True),
    Contender(title="MAE-CT, first preset, 64 images a step", method="maect", longer=1 / 3, attempt=True,
              switches={**FIRST_PRESET, "batch_size": 64}),
    Contender(title="MAE-CT, first preset, strong views", method="maect", longer=1 / 3, attempt=True,
              switches={**FIRST_PRESET, "augmentation": "strong",
                        "head_learning_rate": 5e-3}),  # five times, as from Table 7 to 8
    Contender(title="MAE-CT, no further pretraining", method="maect", attempt=True,
              switches={"pretraining_epochs": 0.0}),
    Contender(title="MAE-CT, pretraining at a fifth of the rate", method="maect", attempt=True,
              switches={"pretraining_learning_rate": 1.5e-4}),
    Contender(title="finetuning, mixup", method="finetune", replays=True, attempt=True,
              switches={"mode": "replay", "mixing": "mixup"}),
    Contender(title="finetuning, cutmix and mixup", method="finetune", replays=True, attempt=True,
              switches={"mode": "replay", "mixing": "both"}),
    Contender(title="finetuning, mixed images alone", method="finetune", replays=True, attempt=True,
              switches={"mode": "replay", "mixed_only": True}),
    Contender(title="Semi-MAE, a fifth of the weight", method="semimae", labelled=True, attempt=True,
              switches={"reconstruction_weight": 1.0}),
    Contender(title="Semi-MAE, half hidden", method="semimae", labelled=True, attempt=True,
              switches={"mask_ratio": 0.5}),
    Contender(title="Semi-MAE, twice as long", method="semimae", labelled=True, attempt=True, longer=2.0),
)
"""What was tried where a claim of a paper does not hold here: MAE-CT's, that mixing helps, that a decoder does."""

CONTENDERS = (
    Contender(title="starter-mae", method=SHIPPED),
    Contender(title="MAE-CT", method="maect"),
    Contender(title="finetuning, naive", method="finetune", switches={"mode": "target", "mixing": "none"}),
    Contender(title="finetuning, replay", method="finetune", switches={"mode": "replay", "mixing": "none"},
              replays=True),
    Contender(title="finetuning", method="finetune", switches={"mode": "replay"}, replays=True),
    Contender(title="FixMatch", method="semimae", switches={"reconstruction_weight": 0.0}, labelled=True),
    Contender(title="Semi-MAE", method="semimae", labelled=True),
    Contender(title="Semi-MAE from MAE-CT", method="semimae", labelled=True, begins_with="MAE-CT"),
    *ATTEMPTS,
)


class Bench:
    """The targets, and the models that other cells begin with, in a cache."""

    def __init__(self, data: Path | None, cache: Path) -> None:
        self.data, self.cache = data, cache
        self.digest = rows.weights_digest(BACKBONE)

    def model(self, contender: Contender, target: Target, seed: int) -> Classifier:
        """Return the contender's model, kept where another begins with it."""
        folder = self.cache / "models" / self.digest / f"{target.name}, {contender.title}, {seed}"
        if folder.exists():
            return Classifier.load(folder)
        found = self._adapted(contender, target, seed)
        if any(one.begins_with == contender.title for one in CONTENDERS):
            folder.mkdir(parents=True)
            found.save(folder)
        return found

    def _adapted(self, contender: Contender, target: Target, seed: int) -> Classifier:
        """Run the method."""
        start = None
        if contender.begins_with:
            first = next(one for one in CONTENDERS if one.title == contender.begins_with)
            self.model(first, target, seed)
            folder = self.cache / "models" / self.digest / f"{target.name}, {first.title}, {seed}"
            start = Start.of(folder, first.title)
        problem = Problem(images=target.images, num_classes=len(target.class_names),
                          class_names=target.class_names if contender.labelled else (),
                          labelled=few_labels.drawn(target, seed) if contender.labelled else {},
                          replay=self.replay() if contender.replays else None, start=start)
        adapt = resolve(METHODS[contender.method].function)
        with tempfile.TemporaryDirectory() as folder_of_run:
            return adapt(parse(contender.method, contender.settings(target)), problem, local(Path(folder_of_run), seed))

    def replay(self) -> ImageSet:
        """Return a tenth of what the starter learnt from."""
        archive = self.cache / "replay.tar"
        if not archive.exists():
            replay.write(self.data or Path(), archive, seed=0)
        images, _ = open_images(archive, self.cache / "replay-unpacked")
        return images

    def measure(self, contender: Contender, target: Target, seed: int) -> rows.Row:
        """Run one cell and hold it against the truth."""
        began = time.process_time()  # of the processor: a machine that does other work besides shows the same
        classifier = self.model(contender, target, seed)
        seconds = time.process_time() - began
        probabilities = classifier.predict(target.images).probabilities.numpy()
        metrics = (few_labels.answers_to_the_rest(probabilities, target, seed) if contender.labelled else
                   {**of_features(classifier.members[0].backbone, target, seed),
                    **evaluate(probabilities.argmax(1), target.truth, None)})
        return rows.Row(target=target.name, method=contender.title, seed=seed, settings=contender.settings(target),
                        metrics={name: round(value, 5) for name, value in metrics.items()}, label_free_score=None,
                        seconds=round(seconds, 1), weights=self.digest, attempt=contender.attempt,
                        processor=rows.processor(), label_free=self.without_labels(probabilities, target, seed))

    def without_labels(self, probabilities: np.ndarray, target: Target, seed: int) -> dict[str, float]:
        """Return what answers (N, K) show without labels, as the application sees it of a run on this encoder."""
        run, labels = local(self.cache, seed), probabilities.argmax(1)
        frozen = features(load_backbone(BACKBONE), target.images, run).numpy()
        judge = read_judge(JUDGE, target.images, run)
        shown = {**signals(probabilities), "second_opinion": judge.score(labels),
                 "group_agreement": group_agreement([frozen], labels, len(target.class_names), seed)}
        return {name: round(value, 5) for name, value in shown.items()}


def local(folder: Path, seed: int) -> LocalRun:
    """Return the surroundings of one cell."""
    return LocalRun(device=torch.device("cuda" if torch.cuda.is_available() else "cpu"), seed=seed, folder=folder)


def of_features(encoder: Backbone, target: Target, seed: int) -> dict[str, float]:
    """Return what its features are worth, by the name of each measure, 0 … 1."""
    with tempfile.TemporaryDirectory() as folder:
        evidence = Evidence(run=local(Path(folder), seed), paths=target.images.names, images=target.images,
                            true_names=tuple(target.class_names[one] for one in target.truth), backbones=(encoder,))
        found: dict[str, float] = {}
        for name, figure in FIGURES.items():
            module, _, function = MEASURES[name].function.partition(":")
            figures = getattr(import_module(module), function)(evidence).figures
            found[name] = figures[figure]
            found |= {f"{name}: {other}": value for other, value in figures.items() if other != figure}
        return found


def run_cells(bench: Bench, targets: Iterable[str], titles: set[str], seeds: set[int]) -> None:
    """Measure what is wanted and not yet measured, the first seed of everything first."""
    done = {row.cell for row in rows.read(bounds.ENCODERS)}
    for seed, name in itertools.product(sorted(seeds), targets):
        wanted = [one for one in CONTENDERS if seed in one.seeds and name in one.targets
                  and one.title in (titles or {one.title}) and (name, one.title, seed, bench.digest) not in done]
        if not wanted:
            continue
        target = load(name, bench.data, bench.cache)
        for contender in wanted:
            row = bench.measure(contender, target, seed)
            rows.append(bounds.ENCODERS, row)
            shown = {key: round(100 * row.metrics[key], 1) for key in ("accuracy", *FIGURES) if key in row.metrics}
            sys.stdout.write(f"{row.target:14} {row.method:24} seed {seed} {shown} {row.seconds:.0f} s\n")
            sys.stdout.flush()


def main() -> int:
    """Measure, write the report, hold the bounds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.encoders", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of target-*.tar and pretrain-64px-*.npz")
    parser.add_argument("--cache", type=Path, default=Path(".benchmarks"))
    parser.add_argument("--targets", default=",".join(TARGETS), help="comma-separated")
    parser.add_argument("--methods", default="", help="titles, separated by semicolons; all when empty")
    parser.add_argument("--seeds", default="0,1,2", help="comma-separated")
    given = parser.parse_args()
    run_cells(Bench(given.data, given.cache), given.targets.split(","),
              {one for one in given.methods.split(";") if one}, {int(one) for one in given.seeds.split(",")})
    report.write()
    return bounds.print_all()


if __name__ == "__main__":
    sys.exit(main())
