"""TIFF's own tags, where Pillow opens a file without complaint and shows something else. Pillow and NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL.TiffImagePlugin import TiffImageFile

from core.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

SUBFILE, BITS, PHOTOMETRIC, PLANES, SAMPLE_FORMAT, DNG_VERSION = 254, 258, 262, 284, 339, 50706
WHITE_IS_ZERO, SEPARATE_PLANES, UNSIGNED, IS_REDUCED = 0, 2, 1, 1


def check(image: Image.Image, name: str) -> None:
    """Refuse the TIFF files of which only something wrong could be shown.

    Raises:
        DataError: for a camera's raw file, whose first picture is a preview, and for deep separate planes.
    """
    if not isinstance(image, TiffImageFile):
        return
    tags = image.tag_v2
    if DNG_VERSION in tags or tags.get(SUBFILE, 0) & IS_REDUCED:
        raise DataError(name, "a camera's raw file, of which only its small preview could be read; "
                              "export the photograph as JPEG or PNG")
    if tags.get(PLANES) == SEPARATE_PLANES and max(tags.get(BITS, (1,))) > 8:
        raise DataError(name, "a TIFF with more than 8 bits a channel, each channel apart, which cannot be read here; "
                              "save it with interleaved channels, or as PNG")


def values(image: Image.Image) -> np.ndarray:
    """Return a grey picture's pixels (H, W) as its file means them: unsigned where it says so, more is lighter."""
    pixels = np.asarray(image)
    if not isinstance(image, TiffImageFile):
        return pixels
    if pixels.dtype == np.int32 and image.tag_v2.get(SAMPLE_FORMAT, (UNSIGNED,))[0] == UNSIGNED:
        pixels = pixels.view(np.uint32)
    if pixels.dtype.kind == "u" and image.tag_v2.get(PHOTOMETRIC) == WHITE_IS_ZERO:
        pixels = np.iinfo(pixels.dtype).max - pixels
    return pixels
