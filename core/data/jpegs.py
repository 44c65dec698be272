"""JPEG's own markers, where a small file can ask for hours of work. Standard library only."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from core.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

MAX_SCANS = 100
"""A progressive file goes over its pixels about ten times; the limit that libjpeg-turbo's own tools take is 100."""
_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")
"""Any marker but those that may stand within a scan: a stuffed zero and restarts."""
_SCAN, _END = 0xDA, 0xD9
_WITHOUT_LENGTH = frozenset({0x01, 0xD8})


def check(image: Image.Image, content: bytes, name: str) -> None:
    """Refuse a JPEG that goes over all its pixels more often than any program makes it.

    Raises:
        DataError: naming the file.
    """
    if image.format in {"JPEG", "MPO"} and scans(content) > MAX_SCANS:
        raise DataError(name, f"a JPEG of more than {MAX_SCANS} scans, as files made to do harm have; "
                              "open it in another program and save it anew")


def scans(content: bytes) -> int:
    """Return how many scans the first picture of a file has, counted to one above the limit."""
    found, at = 0, 2
    while (marker := _MARKER.search(content, at)) is not None and found <= MAX_SCANS:
        kind, at = marker[1][0], marker.end()
        if kind == _END:
            break
        found += kind == _SCAN
        if kind not in _WITHOUT_LENGTH:
            at += max(2, int.from_bytes(content[at:at + 2], "big"))
    return found
