"""From a file's bytes to an upright RGB picture, or a clear reason why not. Needs Pillow and NumPy, never torch.

A file is decoded fully, never only opened: a truncated JPEG opens without complaint. Only the
formats listed here are tried, so that nothing which runs a program (EPS) is ever opened.
"""

from __future__ import annotations

import importlib.util
import io
import math
import struct
import warnings
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from core.data import jpegs, tiffs
from core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

FORMATS: Sequence[str] = ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "AVIF", "JPEG2000", "PPM")
"""Pillow's names of what is opened (JPEG stands for MPO too); HEIC comes on top where pillow-heif is installed."""

SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".gif", ".webp", ".tif", ".tiff", ".bmp",
                      ".avif", ".jp2", ".ppm", ".pgm", ".pbm", ".heic", ".heif"})
MAX_PIXELS = 89_478_485
"""Largest picture, width x height: Pillow's own limit, at which a hostile file could fill the memory."""
MIN_SIDE_PX = 2

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112
_BROKEN = (OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, ArithmeticError, RuntimeError,
           NotImplementedError, AttributeError, struct.error, zlib.error)
_WHITE = (255, 255, 255, 255)
_SCALED_AT_ONCE = 1 << 20
_DEPTHS = (8, 10, 12, 14, 16)
"""Bits of a pixel that cameras and microscopes write; most of them into 16-bit files, whose header says 16."""
_STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"II*\0", b"MM\0*")
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"})


def decode(source: Path | bytes, name: str, at_least_px: int | None = None) -> Image.Image:
    """Decode a picture fully and return it upright, in RGB, its transparent parts white.

    The first frame stands for an animation. 16 bits a channel are scaled to 8, never clipped.

    Args:
        source: a file, or its bytes.
        name: what messages call it.
        at_least_px: when given, a larger picture comes back reduced so that its shorter side has this many
            pixels, which is several times faster for photographs.

    Raises:
        DataError: naming the file and why it cannot be used.
    """
    try:
        content = source if isinstance(source, bytes) else source.read_bytes()
    except OSError as error:
        raise DataError(name, f"cannot be read: {error.strerror}") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        image = _open(content, name)
        _check_size(image, name)
        tiffs.check(image, name)
        jpegs.check(image, content, name)
        try:
            if at_least_px is not None:
                image.draft(None, (at_least_px, at_least_px))
            image.load()
            colour = _upright(_rgb(image), image)
        except _BROKEN as error:
            raise DataError(name, f"damaged {image.format} file: {error}; it cannot be decoded to its end") from error
        except MemoryError:
            raise DataError(name, f"{image.width} x {image.height} pixels do not fit into memory") from None
    return colour if at_least_px is None else _reduced(colour, at_least_px)


def _open(content: bytes, name: str) -> Image.Image:
    """Return the opened, not yet decoded picture."""
    if not content:
        raise DataError(name, "empty file")
    if content[4:8] == b"ftyp" and content[8:12] in _HEIF_BRANDS and not _also_avif(content):
        return _open_heif(content, name)
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise RuntimeError("PIL.ImageFile.LOAD_TRUNCATED_IMAGES was switched on: truncated files would pass as whole")
    try:
        return Image.open(io.BytesIO(content), formats=list(FORMATS))
    except UnidentifiedImageError:
        raise DataError(name, _what_else(content)) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DataError(name, f"more than {MAX_PIXELS:,} pixels; make it smaller first") from None
    except _BROKEN as error:
        raise DataError(name, f"damaged image: {error}") from error


def _open_heif(content: bytes, name: str) -> Image.Image:
    """Open HEIC, as telephones make it, where pillow-heif is installed."""
    if importlib.util.find_spec("pillow_heif") is None:
        raise DataError(name, "HEIC cannot be read here; install pillow-heif, or export the photograph as JPEG")
    import pillow_heif

    try:
        container = pillow_heif.open_heif(io.BytesIO(content), convert_hdr_to_8bit=True)
        width, height = container.size
        if width * height > MAX_PIXELS:
            raise DataError(name, f"more than {MAX_PIXELS:,} pixels; make it smaller first")
        image: Image.Image = container.to_pillow()
    except _BROKEN as error:
        raise DataError(name, f"damaged HEIC file: {error}") from error
    image.format = "HEIC"
    return image


def _also_avif(content: bytes) -> bool:
    """Tell whether a file with HEIF's general brand says that it is AVIF too."""
    length = int.from_bytes(content[:4], "big")
    return b"avif" in content[8:min(length, 256)]


def _check_size(image: Image.Image, name: str) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise DataError(name, f"{image.width} x {image.height} pixels, more than {MAX_PIXELS:,}; make it smaller first")
    if min(image.size) < MIN_SIDE_PX:
        raise DataError(name, f"{image.width} x {image.height} pixels; each side needs at least {MIN_SIDE_PX}")


def orientation(image: Image.Image) -> int:
    """Return how EXIF says that a picture is turned, 1 for not at all; damaged EXIF counts as none."""
    try:
        said = image.getexif().get(_ORIENTATION, 1)
    except _BROKEN:
        return 1
    return said if said in _UPRIGHT else 1


def _upright(colour: Image.Image, image: Image.Image) -> Image.Image:
    """Turn the pixels of `image` by its EXIF orientation."""
    turn = _UPRIGHT.get(orientation(image))
    return colour if turn is None else colour.transpose(turn)


def _rgb(image: Image.Image) -> Image.Image:
    """Return a copy in RGB; transparency over white, deep channels scaled to 8 bits."""
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_eight_bits(tiffs.values(image))).convert("RGB")
    if image.mode in {"La", "RGBa"}:
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    if image.mode in {"LA", "PA", "RGBA"} or "transparency" in image.info:
        layer = image if image.mode == "RGBA" else image.convert("RGBA")  # a copy of the largest takes 360 MB
        return Image.alpha_composite(Image.new("RGBA", layer.size, _WHITE), layer).convert("RGB")
    return image.convert("RGB")


def _eight_bits(pixels: np.ndarray) -> np.ndarray:
    """Scale integers or floats (H, W) of any depth to 0 … 255; what fits no usual range is stretched from its own.

    The depth is the least of `_DEPTHS` that holds every pixel: 12 bits in a 16-bit file would be all but black.
    """
    low, high = float(pixels.min()), float(pixels.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError("pixels that are not numbers")
    if pixels.dtype.kind == "f" and low >= 0 and high <= 1:
        start, factor = 0.0, 255.0
    elif low >= 0 and high <= 65535:
        start, factor = 0.0, 255 / next(full for depth in _DEPTHS if high <= (full := 2**depth - 1))
    else:
        start, factor = low, 255 / (high - low)
    scaled = np.empty(pixels.shape, np.uint8)
    rows = max(1, _SCALED_AT_ONCE // pixels.shape[1])
    for top in range(0, len(pixels), rows):  # a whole large picture would take sixteen times its size in floats
        scaled[top:top + rows] = np.rint((pixels[top:top + rows].astype(np.float64) - start) * factor)
    return scaled


def _reduced(image: Image.Image, at_least_px: int) -> Image.Image:
    """Return the picture with its shorter side at `at_least_px`, or as it is if that is no smaller."""
    shorter = min(image.size)
    if shorter <= at_least_px:
        return image
    size = (round(image.width * at_least_px / shorter), round(image.height * at_least_px / shorter))
    return image.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)


def _what_else(content: bytes) -> str:
    """Say what a file is that is no picture of a known format."""
    head = content[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"<svg" in head:
        return "an SVG drawing, not a photograph; export it as PNG"
    if head.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "a web page (HTML), not an image: the download probably failed; fetch the image itself"
    known = ((b"%!ps", "a PostScript (EPS) file"), (b"\xc5\xd0\xd3\xc6", "a PostScript (EPS) file"), (b"%pdf", "a PDF"),
             (b"pk\x03\x04", "a zip archive"), (b"8bps", "a Photoshop file"), (b"\x1f\x8b", "a gzip archive"),
             (b"rar!", "a RAR archive"), (b"7z\xbc\xaf", "a 7z archive"), (b"<?xml", "an XML file"))
    for start, kind in known:
        if head.startswith(start):
            return f"{kind}, not an image; export it as JPEG or PNG"
    if content.startswith(_STARTS) or content[8:12] in {b"WEBP", b"avif", b"avis"}:
        return "damaged, or of a kind that cannot be read here; if other programs show it, export it as JPEG or PNG"
    if content[4:8] == b"ftyp":
        return "a video or an unknown kind of image; export it as JPEG or PNG"
    last = "BMP and AVIF" if importlib.util.find_spec("pillow_heif") is None else "BMP, AVIF and HEIC"
    return f"not an image; JPEG, PNG, WebP, TIFF, GIF, {last} can be read"
