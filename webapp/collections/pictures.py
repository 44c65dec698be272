"""From a file's bytes to what is kept of it: an upright image and a small thumbnail."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass

from PIL import Image as Picture

from core.data.decoding import decode, orientation
from core.data.looks import Look, look

THUMBNAIL_PX = 256
TINY_PX = 96
"""Up to this side a thumbnail is kept without loss: every pixel of a small digit counts."""
LOSSLESS_PIXELS = 1_000_000
"""Up to this size what must be written anew is written as PNG; larger photographs as JPEG at 95."""
JPEG_SIDE_PX = 65_500
"""What Pillow writes as JPEG at most; a damaged animation may claim more."""
JPEG_START, PNG_START = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, kw_only=True)
class Kept:
    """One picture, ready to be stored.

    Attributes:
        sha256: of the file as it was sent.
        upright: the bytes of the upright image.
        suffix: of the upright image, ".jpg" or ".png".
        thumbnail: a WebP of at most 256 px.
        look: its measures.
    """

    sha256: str
    upright: bytes
    suffix: str
    thumbnail: bytes
    look: Look
    width_px: int
    height_px: int


def digest(content: bytes) -> str:
    """Return the SHA-256 by which exact duplicates are found."""
    return hashlib.sha256(content).hexdigest()


def keep(content: bytes, name: str) -> Kept:
    """Decode a file fully and return what is kept of it.

    Raises:
        DataError: naming the file and why it cannot be used.
    """
    image = decode(content, name)
    suffix = _kept_as_sent(content)
    upright = content
    if not suffix:
        suffix, upright = _encoded(image, content)
    return Kept(sha256=digest(content), upright=upright, suffix=suffix, thumbnail=_thumbnail(image),
                look=look(image), width_px=image.width, height_px=image.height)


def _kept_as_sent(content: bytes) -> str:
    """Return the suffix of a file that is upright, opaque and 8-bit already, "" of one that must be written anew."""
    if not content.startswith((JPEG_START, PNG_START)):
        return ""
    with Picture.open(io.BytesIO(content), formats=["JPEG", "PNG"]) as sent:
        suffix = {"JPEG": ".jpg", "PNG": ".png"}.get(sent.format or "", "")
        plain = sent.mode in {"RGB", "L"} and "transparency" not in sent.info and getattr(sent, "n_frames", 1) == 1
        upright = orientation(sent) == 1
    return suffix if plain and upright else ""


def _encoded(image: Picture.Image, content: bytes) -> tuple[str, bytes]:
    """Write a decoded image: without loss where the source had none or it is small, else as a good JPEG."""
    lossy_source = content.startswith(JPEG_START) or content[8:12] == b"WEBP" or content[4:8] == b"ftyp"
    out = io.BytesIO()
    if lossy_source and image.width * image.height > LOSSLESS_PIXELS and max(image.size) <= JPEG_SIDE_PX:
        image.save(out, "JPEG", quality=95, subsampling=0)
        return ".jpg", out.getvalue()
    image.save(out, "PNG", compress_level=3)
    return ".png", out.getvalue()


def _thumbnail(image: Picture.Image) -> bytes:
    """Return a WebP of at most 256 px; the image itself where it is smaller."""
    small = image.copy()
    small.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX), Picture.Resampling.LANCZOS, reducing_gap=3.0)
    out = io.BytesIO()
    if max(small.size) <= TINY_PX:
        small.save(out, "WEBP", lossless=True, method=2)
    else:
        small.save(out, "WEBP", quality=82, method=2)
    return out.getvalue()
