"""Trips of photographs to send: folders of noise, and an archive too large to be digested whole."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

COUNT = 30
WHOLE_BYTES = 64 * 1024 * 1024


def noise(top: Path, seed: int, count: int = COUNT, side_px: int = 400) -> Path:
    """Write two folders of images with the same names in each."""
    drawn = np.random.default_rng(seed)
    for number in range(count):
        place = top / ("monday" if number % 2 else "tuesday") / f"{number // 2}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(drawn.integers(0, 255, (side_px, side_px, 3), dtype=np.uint8)).save(
            place, quality=90)
    return top


def archived(place: Path) -> Path:
    """Write an archive of three photographs that is too large for the browser's own SHA-256."""
    drawn = np.random.default_rng(2)
    with zipfile.ZipFile(place, "w") as archive:
        for number in range(3):
            file = place.with_name(f"{number}.png")
            Image.fromarray(drawn.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(file)
            archive.write(file, f"trip/{file.name}")
        archive.writestr("trip/recorder.bin", os.urandom(WHOLE_BYTES + 6 * 1024 * 1024))
    return place


def size_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
