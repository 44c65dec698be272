"""Exact copies: what lies in several places is one image, learnt from once, and never both learnt from and measured."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
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


def grouped(images: ImageSet) -> list[list[int]]:
    """Return the indices of the images, each with its byte-for-byte copies; groups are ordered by their first image.

    Only files of a size that another has are read.
    """
    sizes = [path.stat().st_size for path in images.paths]
    count = Counter(sizes)
    groups: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    for index, (size, path) in enumerate(zip(sizes, images.paths, strict=True)):
        groups[size, _digest(path) if count[size] > 1 else b""].append(index)
    return list(groups.values())


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").digest()
