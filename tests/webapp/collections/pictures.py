"""Small real files of every kind that a person may send."""

from __future__ import annotations

import io
import zipfile

import numpy as np
from PIL import Image


def pixels(seed: int = 0, side: int = 24) -> Image.Image:
    """Return a picture that differs with the seed."""
    values = np.random.default_rng(seed).integers(0, 255, (side, side, 3), dtype=np.uint8)
    return Image.fromarray(values)


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """Return an image as a file's bytes."""
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def png(seed: int = 0) -> bytes:
    """Return a PNG file."""
    return saved(pixels(seed))


def turned() -> tuple[bytes, Image.Image]:
    """Return a JPEG that EXIF turns by a quarter, and what it shows when upright."""
    sent = Image.new("RGB", (48, 32), "white")
    sent.paste("red", (0, 0, 24, 32))
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(sent, "JPEG", quality=95, exif=exif), sent.transpose(Image.Transpose.ROTATE_270)


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """Return a zip archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()
