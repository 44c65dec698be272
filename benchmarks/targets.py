"""The labelled collections that methods are measured on. Labels stay here; methods never see them. No torch here."""

from __future__ import annotations

import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from core.data.images import ImageSet, open_images
from core.errors import DataError

DIGITS = "digits"
DIGIT_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
ARCHIVES = ("art-painting", "cartoon", "cifar10", "satellite", "traffic-signs", "trash", "sign-digits")
TARGETS = (DIGITS, *ARCHIVES)
TUNED_ON = ("digits", "art-painting", "trash")
"""Settings may be tuned on these; on the other targets the chosen preset is only measured."""
LABELS_PER_CLASS = 4
MIRROR_CHANGES_MEANING = ("digits", "traffic-signs")
"""What a user would know at once: a mirrored 2 is no 2, "turn left" becomes "turn right"."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """One collection with its class names and, for measuring only, the truth (N,)."""

    name: str
    images: ImageSet
    class_names: tuple[str, ...]
    truth: np.ndarray

    @property
    def mirror(self) -> bool:
        """Tell whether mirror images mean the same here."""
        return self.name not in MIRROR_CHANGES_MEANING


def load(name: str, data: Path | None, cache: Path) -> Target:
    """Unpack a target under `cache` once and return it.

    Args:
        name: one of `TARGETS`.
        data: the folder of ``target-*.tar``; the digits need none.
        cache: where images are unpacked.

    Raises:
        DataError: when the archive is not there, or an image of it is unreadable.
    """
    folder = cache / name
    if name == DIGITS:
        if not folder.exists():
            write_digits(folder)
        images, refused = open_images(folder, cache / f"{name}-unpacked")
        class_names = DIGIT_NAMES
        truth = np.array([int(Path(one).stem.rsplit("-", 1)[1]) for one in images.names])
    else:
        archive = (data or Path()) / f"target-{name}.tar"
        if data is None or not archive.exists():
            raise DataError(str(archive), "no such target: pass DATA=DIR, the folder that holds target-*.tar")
        cache.mkdir(parents=True, exist_ok=True)
        if not folder.exists():  # whole or not at all: another bench may be killed while it unpacks
            with tempfile.TemporaryDirectory(dir=cache) as part, tarfile.open(archive) as tar:
                tar.extractall(Path(part) / name, filter="data")
                (Path(part) / name).rename(folder)
        images, refused = open_images(folder, cache / f"{name}-unpacked")
        folders = np.array([Path(one).parent.name for one in images.names])
        names, truth = np.unique(folders, return_inverse=True)
        class_names = tuple(names.tolist())
    if refused:
        first = refused[0]
        raise DataError(first.name, f"{len(refused)} unreadable image(s) in the target {name}: {first.reason}")
    return Target(name=name, images=images, class_names=class_names, truth=truth)


def write_digits(folder: Path) -> None:
    """Write scikit-learn's 1,797 handwritten digits as 8 x 8 PNG files, white ink on black, named by their truth."""
    folder.mkdir(parents=True)
    digits = load_digits()
    for number, (image, digit) in enumerate(zip(digits.images, digits.target, strict=True)):
        Image.fromarray((image * (255 / 16)).astype(np.uint8)).save(folder / f"{number:04d}-{digit}.png")
