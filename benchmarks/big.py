"""Do the real sizes run? Every method that fits a model of the papers, a few steps each, through the worker.

``make bench-big``. Architectures and file formats are the real ones, the weights are random and made here, so this
says that and how fast they run, not how well. Presets are the papers' where they have one for the model. Resumable by
(backbone, method, preset, machine); rows in ``results/big.jsonl``. Five steps on a CPU, twenty on a GPU.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch

from benchmarks import report, rows, targets
from benchmarks.app import App, running
from benchmarks.client import Refused, say
from benchmarks.random_weights import write_catalogued
from core.catalog import METHODS
from core.settings import describe

RESULTS = rows.RESULTS / "big.jsonl"
BACKBONES = ("resnet50", "dinov2-vit-s14", "dinov2-vit-b14", "mae-vit-b16", "clip-vit-b16", "clip-vit-l14")
"""Smallest first: what is left out by an end comes last."""
STEPS = 20 if torch.cuda.is_available() else 5
IMAGES = 40
"""Fewer than any preset's batch: an epoch is a step."""
LABELLED = 20
LIMIT_SECONDS = 12 * 60 * 60.0
PRESETS = {
    ("must", "clip-vit-b16"): ("dtd-b",), ("must", "clip-vit-l14"): ("dtd-l",),
    ("maect", "mae-vit-b16"): ("min-b", "aug-b"), ("finetune", "resnet50"): ("paper",),
    ("semimae", "mae-vit-b16"): ("finetune",), ("semimae", "dinov2-vit-b14"): ("finetune",),
}
"""The papers' own; what is not here has the one that the application recommends."""
SETTINGS: dict[str, dict[str, object]] = {
    "turtle": {"steps": STEPS, "search": False},
    "must": {"epochs": STEPS},
    "maect": {"preparing_epochs": 2, "epochs": STEPS - 2},
    "finetune": {"epochs": STEPS},
    "semimae": {"warming_epochs": 1, "epochs": STEPS - 1},
}


@dataclass(frozen=True)
class Cell:
    """One thing to try: a method on a backbone."""

    backbone: str
    method: str
    preset: str
    settings: dict[str, object] = field(default_factory=dict)


def fitting(backbone: str) -> Iterator[Cell]:
    """Yield a cell for each method that can be started on the backbone, and each preset that is wanted."""
    for method, one in METHODS.items():
        known = describe(one.settings)
        place = "spaces" if "spaces" in known else "backbone"
        if backbone in known[place].choices:
            for preset in PRESETS.get((method, backbone), ("",)):
                yield Cell(backbone, method, preset, {place: backbone, **SETTINGS.get(method, {})})


def machine() -> str:
    """Return what the rows were measured on."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{os.cpu_count()} CPU cores, {platform.machine()}"


def main() -> int:
    """Try what was not tried before; return 1 where something failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.big", description=__doc__)
    parser.add_argument("--backbones", default=",".join(BACKBONES), help="comma-separated")
    chosen = parser.parse_args().backbones.split(",")
    done = {row.cell for row in rows.read_sizes(RESULTS)}
    wanted = [cell for backbone in chosen for cell in fitting(backbone)
              if (cell.backbone, cell.method, cell.preset, machine()) not in done]
    failed = 0
    if wanted:
        with (tempfile.TemporaryDirectory(prefix="labelfree-big-") as weights,
              running("bench-big", LIMIT_SECONDS, {"LABELFREE_WEIGHTS": weights}) as app):
            failed = try_all(wanted, app, Path(weights))
    report.write()
    say(f"{'ok   ' if not failed else 'short'} real sizes: {failed} of {len(wanted)} cells of this run failed")
    return 1 if failed else 0


def try_all(wanted: list[Cell], app: App, weights: Path) -> int:
    """Run each cell; return how many failed."""
    collection, other = send_digits(app, "Digits", 0), send_digits(app, "Replay", IMAGES)
    label_some(app, collection)
    failed, present = 0, ""
    for cell in wanted:
        if cell.backbone != present:
            (weights / f"{present}.safetensors").unlink(missing_ok=True)
            write_catalogued(weights, cell.backbone)
            present = cell.backbone
        try:
            rows.append(RESULTS, attempt(app, cell, collection, other))
        except Refused as refused:
            failed += 1
            say(f"short {cell.backbone} {cell.method} {cell.preset}: {refused}")
    return failed


def attempt(app: App, cell: Cell, collection: int, other: int) -> rows.SizeRow:
    """Run one cell through the application and return what it took."""
    asked = {"method": cell.method, "preset": cell.preset, "settings": cell.settings}
    if cell.method == "finetune":
        asked["replay"] = other
    run = app.api.post(f"/api/v1/collections/{collection}/runs", asked)
    if run["baseline"]:
        app.api.watch(f"{cell.backbone}, its baseline", run["baseline"])
    ended = app.api.watch(f"{cell.backbone} {cell.method} {cell.preset}", run["id"])
    result = ended["result"]
    return rows.SizeRow(
        backbone=cell.backbone, method=cell.method, preset=ended["preset"].removesuffix(" (changed)"),
        machine=machine(), steps=STEPS if cell.method in SETTINGS else 0, images=IMAGES,
        seconds=round(result["seconds"], 1), images_per_second=ended["images_per_second"],
        peak_memory_bytes=result["peak_memory_bytes"])


def send_digits(app: App, name: str, first: int) -> int:
    """Send some of scikit-learn's digits; return the collection's id."""
    folder = app.home / "digits"
    if not folder.exists():
        targets.write_digits(folder)
    archive = app.home / f"{name}.zip"
    with zipfile.ZipFile(archive, "w") as package:
        for file in sorted(folder.iterdir())[first:first + IMAGES]:
            package.write(file, file.name)
    collection = app.api.send_images(name, archive, IMAGES, mirror=False)
    if first == 0:
        names = app.api.post("/api/v1/class-lists", {"name": "Digits", "names": list(targets.DIGIT_NAMES)})
        app.api.change(f"/api/v1/collections/{collection}", {"class_list": names["id"]})
    return collection


def label_some(app: App, collection: int) -> None:
    """Say of some images what they are, as a person does in review: Semi-MAE learns from that."""
    run = app.api.post(f"/api/v1/collections/{collection}/runs", {"method": "zeroshot"})["id"]
    app.api.watch("a run to review", run)
    answers = app.api.get(f"/api/v1/runs/{run}/predictions")["predictions"][:LABELLED]
    for digit, name in enumerate(targets.DIGIT_NAMES):
        numbers = [one["number"] for one in answers if Path(one["path"]).stem.endswith(f"-{digit}")]
        app.api.post(f"/api/v1/runs/{run}/corrections", {"images": numbers, "label": name})


if __name__ == "__main__":
    sys.exit(main())
