"""Exact copies: what lies in several collections is one image, and is learnt from once."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from pathlib import Path

from core.data.images import ImageSet


def without_copies(images: ImageSet, known: ImageSet) -> ImageSet:
    """Return the images, in their order, whose files are no byte-for-byte copies of a known one.

    Only files of a size that a known one has are read.
    """
    same_size: dict[int, list[Path]] = defaultdict(list)
    for path in known.paths:
        same_size[path.stat().st_size].append(path)
    digests: dict[int, set[bytes]] = {}
    new = []
    for index, path in enumerate(images.paths):
        size = path.stat().st_size
        if size in same_size and size not in digests:
            digests[size] = {_digest(one) for one in same_size[size]}
        if size not in same_size or _digest(path) not in digests[size]:
            new.append(index)
    return images.subset(new)


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").digest()
