"""Measuring a starter model: zero-shot accuracy on sets outside the mixture and held-out parts.

Shapes: N images (N, 3, 64, 64) uint8, K classes, E embedding width.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch.nn import functional

from core.starter.mixture import Mixture, decode
from core.starter.vocabulary import DIGIT_WORDS

TARGETS = ("cifar10", "art-painting", "cartoon")


@dataclass(frozen=True)
class Exam:
    """A named set of images with class names and the index of the right one."""

    title: str
    images: np.ndarray
    names: tuple[str, ...]
    label: np.ndarray


def digits() -> Exam:
    """Return scikit-learn's 1,797 digits, 8 x 8, enlarged as a user's upload would be."""
    import io

    from PIL import Image

    found = load_digits()
    files = []
    for image in found.images:
        stream = io.BytesIO()
        Image.fromarray((image * (255 / 16)).astype(np.uint8)).save(stream, "PNG")
        files.append(decode(stream.getvalue()))
    return Exam("digits", np.stack(files), DIGIT_WORDS, found.target)


def target(archive: Path) -> Exam:
    """Read a tar of ``<class name>/<file>``."""
    images, labels = [], []
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile():
                stream = tar.extractfile(member)
                assert stream is not None
                images.append(decode(stream.read()))
                labels.append(member.name.split("/")[0])
    names, index = np.unique(labels, return_inverse=True)
    return Exam(archive.stem.removeprefix("target-"), np.stack(images), tuple(names.tolist()), index)


def held_out(mixture: Mixture, source: str) -> Exam:
    """Return the held-out images of one source, with that source's own names."""
    wanted = mixture.sources.index(source)
    classes = np.unique(mixture.label[mixture.source == wanted])
    chosen = mixture.held_out[mixture.source[mixture.held_out] == wanted]
    place = {int(label): index for index, label in enumerate(classes)}
    return Exam(f"{source} held out", np.asarray(mixture.images[chosen]),
                tuple(mixture.names[label] for label in classes),
                np.array([place[int(label)] for label in mixture.label[chosen]]))


def exams(mixture: Mixture, data: Path) -> list[Exam]:
    """Return every set that training is watched on; nothing is selected by them."""
    return [held_out(mixture, "cifar-100"), held_out(mixture, "tiny-imagenet-200"), digits(),
            *(target(data / f"target-{name}.tar") for name in TARGETS)]


def zero_shot_accuracy(exam: Exam, class_embeddings: torch.Tensor,
                       embed: Callable[[torch.Tensor], torch.Tensor], batch_size: int = 512) -> float:
    """Return the share of images whose nearest class embedding, (K, E), is the right one."""
    right = 0
    for start in range(0, len(exam.images), batch_size):
        images = torch.from_numpy(exam.images[start : start + batch_size]).float() / 255
        answer = (functional.normalize(embed(images), dim=-1) @ class_embeddings.T).argmax(1)
        right += int((answer == torch.from_numpy(exam.label[start : start + batch_size])).sum())
    return right / len(exam.images)
