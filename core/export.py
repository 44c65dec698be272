"""A model to take away: weights, settings, names, preprocessing, card and a program that needs no labelfree."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from core.card import Card
from core.classifier import Classifier
from core.errors import CheckpointError

PROGRAM = Path(__file__).parent / "standalone_predict.py"
MODEL_FILES = ("settings.json", "model.safetensors")
DISTRIBUTIONS = {"open_clip": ("open_clip_torch", "timm"), "timm": ("timm",)}
ARCHIVE_DATE = (1980, 1, 1, 0, 0, 0)
"""Zip archives cannot say less; a fixed date makes equal models equal files."""
MAX_RATIO = 100
"""Weights hardly compress; a package that unpacks to more than this many times its size is an attack."""


def write_package(classifier: Classifier, destination: Path, card: Card, folder: Path | None = None,
                  pictures: Mapping[str, Path] | None = None) -> None:
    """Write the package of a classifier as a zip archive, whole or not at all.

    Args:
        classifier: the result of a method.
        destination: the archive; replaced if it exists.
        card: what travels with it as CARD.md.
        folder: where the same files are left unpacked as well, if anywhere.
        pictures: files that the card shows, by their names in the package.

    Raises:
        CheckpointError: when the disk is full or cannot be written.
    """
    part = destination.with_name(destination.name + ".part")
    try:
        with tempfile.TemporaryDirectory(prefix=".package-", dir=destination.parent) as temporary:
            filled = folder or Path(temporary)
            write_folder(classifier, filled, card)
            for name, file in (pictures or {}).items():
                shutil.copyfile(file, filled / name)
            with zipfile.ZipFile(part, "w") as archive:
                for file in sorted(filled.iterdir()):
                    _add(archive, file)
        _flush(part)
        part.replace(destination)
    except OSError as error:
        part.unlink(missing_ok=True)
        reason = f"could not be written: {error}; free some space and try again"
        raise CheckpointError(str(destination), reason, retryable=True) from error


def write_folder(classifier: Classifier, folder: Path, card: Card) -> None:
    """Write the files of a package into `folder`."""
    classifier.save(folder)
    shutil.copyfile(PROGRAM, folder / "predict.py")
    texts = {
        "class_names.txt": "\n".join(classifier.class_names),
        "preprocessing.json": json.dumps(preprocessing(classifier), indent=2),
        "requirements.txt": "\n".join(requirements(classifier)),
        "CARD.md": card.markdown().rstrip("\n"),
    }
    for name, text in texts.items():
        (folder / name).write_text(text + "\n", encoding="utf-8")


def preprocessing(classifier: Classifier) -> dict[str, object]:
    """Return, for other programs, how an image becomes what each member sees; predict.py does it."""
    return {
        "decode": "upright by EXIF, first frame, RGB, transparency over white, deep channels scaled to 8 bits",
        "members": [{"resize_shorter_side_px": member.backbone.image_size_px, "interpolation": "bicubic",
                     "centre_crop_px": member.backbone.image_size_px, "scale": 1 / 255,
                     "mean": list(member.backbone.mean), "std": list(member.backbone.std)}
                    for member in classifier.members],
    }


def requirements(classifier: Classifier) -> list[str]:
    """Return what predict.py needs, at the versions that were used here."""
    libraries = {name for member in classifier.members for name in DISTRIBUTIONS[member.backbone.library]}
    needed = ("torch", "torchvision", *sorted(libraries), "pillow")
    return [f"{name}=={version(name).partition('+')[0]}" for name in needed]


def unpacked(model: Path, into: Path) -> Path:
    """Return the folder of a model given as a package, its unpacked folder, or what ``adapt`` wrote.

    Raises:
        CheckpointError: when it is none of these.
    """
    if model.is_dir():
        return model if (model / MODEL_FILES[0]).exists() else model / "model"
    if not zipfile.is_zipfile(model):
        raise CheckpointError(str(model), "no model package: give package.zip, or the folder that adapt wrote")
    into.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(model) as archive:
        for name in MODEL_FILES:
            if name not in archive.namelist():
                raise CheckpointError(str(model), f"a zip without {name}, so no model package")
            size_bytes = archive.getinfo(name).file_size
            if size_bytes > MAX_RATIO * model.stat().st_size:
                raise CheckpointError(str(model), f"{name} would unpack to {size_bytes:,} bytes: a bomb, not a model")
            with archive.open(name) as source, (into / name).open("wb") as target:
                shutil.copyfileobj(source, target)
    return into


def _add(archive: zipfile.ZipFile, file: Path) -> None:
    """Add a file under a fixed date; weights hardly compress, so they are stored."""
    entry = zipfile.ZipInfo(file.name, ARCHIVE_DATE)
    entry.compress_type = zipfile.ZIP_STORED if file.suffix == ".safetensors" else zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    entry.file_size = file.stat().st_size  # lets zipfile choose 64-bit sizes where needed
    with file.open("rb") as source, archive.open(entry, "w") as target:
        shutil.copyfileobj(source, target)


def _flush(file: Path) -> None:
    """Return once the file is on the disk."""
    with file.open("rb") as stream:
        os.fsync(stream.fileno())
