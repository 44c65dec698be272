"""Measure the shipped starter models: ``python -m benchmarks.starter --data DIR``.

Zero-shot on the held-out images of the mixture (the last 9,000 of its last shard), and weighted k-NN,
leave-one-out, on the targets, none of which is in the mixture. Writes ``results/starter.jsonl``.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from benchmarks import rows
from benchmarks.accuracy import TEMPLATES
from benchmarks.bounds import STARTER
from benchmarks.targets import TARGETS, load
from core.backbones.clip import load_clip
from core.backbones.features import features
from core.backbones.load import load_backbone
from core.backbones.weights import BUNDLED
from core.data.images import ImageSet, open_images
from core.evaluation.neighbours import vote
from core.methods.zeroshot import class_embeddings, template_sentences
from core.shell import LocalRun
from core.starter import mixture

HELD_OUT = {"CIFAR-100": "cifar-100", "Tiny-ImageNet": "tiny-imagenet-200"}


def digest() -> str:
    """Return one digest of both weight files."""
    found = hashlib.sha256()
    for name in ("starter-clip", "starter-mae"):
        file = BUNDLED / f"{name}.safetensors"
        found.update(file.read_bytes() if file.exists() else b"")
    return found.hexdigest()[:12]


def frozen(name: str, images: ImageSet, cache: Path) -> torch.Tensor:
    """Return the backbone's features, (N, D)."""
    with tempfile.TemporaryDirectory() as folder:
        run = LocalRun(device=torch.device("cpu"), seed=0, folder=Path(folder))
        return features(load_backbone(name), images, run, cache=cache)


def neighbours_accuracy(found: torch.Tensor, truth: np.ndarray) -> float:
    """Return the leave-one-out accuracy of weighted k-NN on features (N, D)."""
    labels = torch.from_numpy(truth).long()
    return float((vote(found, labels, found, leave_out_itself=True) == labels).float().mean())


def held_out_accuracy(mixed: mixture.Mixture, source: str, cache: Path) -> float:
    """Return zero-shot accuracy on the held-out images of one source, among that source's own names."""
    wanted = mixed.sources.index(source)
    classes = np.unique(mixed.label[mixed.source == wanted])
    chosen = mixed.held_out[mixed.source[mixed.held_out] == wanted]
    folder = cache / f"held-out-{source}"
    if not folder.exists():
        folder.mkdir(parents=True)
        for index in chosen:
            Image.fromarray(mixed.images[index].transpose(1, 2, 0)).save(folder / f"{index:06d}.png")
    images, _ = open_images(folder, cache / "unused")
    backbone = load_clip("starter-clip")
    names = tuple(mixed.names[label] for label in classes)
    classifier = class_embeddings(backbone, names, template_sentences(TEMPLATES))
    answers = (functional.normalize(frozen("starter-clip", images, cache), dim=1) @ classifier).argmax(1)
    return float(np.mean(classes[answers.numpy()] == mixed.label[np.sort(chosen)]))


def main() -> int:
    """Measure what the rows lack."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.starter", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path(".starter"))
    parser.add_argument("--cache", type=Path, default=Path(".benchmarks"))
    given = parser.parse_args()
    weights = digest()
    done = {row.cell for row in rows.read(STARTER)}

    def keep(target: str, method: str, accuracy: float, began: float) -> None:
        rows.append(STARTER, rows.Row(target=target, method=method, seed=0, settings={}, label_free_score=None,
                                      metrics={"accuracy": accuracy}, weights=weights,
                                      processor=rows.processor(), seconds=round(time.monotonic() - began, 1)))
        sys.stdout.write(f"{target:14} {method:20} {100 * accuracy:.1f}\n")

    for title, source in HELD_OUT.items():
        if (title, "zero-shot", 0, weights) not in done:
            began = time.monotonic()
            mixed = mixture.load(given.data, given.work)
            keep(title, "zero-shot", held_out_accuracy(mixed, source, given.cache), began)
    for name in TARGETS:
        for backbone in ("starter-clip", "starter-mae"):
            if (name, f"k-NN on {backbone}", 0, weights) not in done:
                began = time.monotonic()
                target = load(name, given.data, given.cache)
                found = neighbours_accuracy(frozen(backbone, target.images, given.cache), target.truth)
                keep(name, f"k-NN on {backbone}", found, began)
    return 0


if __name__ == "__main__":
    sys.exit(main())
