"""How a picture looks: how light, how much there is to see, how sharp, and a hash that near copies share.

Pillow and NumPy, no torch. Everything is measured on the picture reduced to 256 px, so that a bound means
the same for a thumbnail and for 50 megapixels. The measures and the bounds on light and information are
CleanVision's (https://github.com/cleanlab/cleanvision), the hash is the usual perceptual one of an 8 x 8 DCT.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from PIL import Image

MEASURED_PX = 256
HASHED_PX = 32
HASH_SIDE = 8
DARK_BELOW, LIGHT_ABOVE = 82, 242
"""Of 255: even the lightest hundredth is darker, even the darkest twentieth is lighter."""
LITTLE_BELOW_BITS = 3.0
BLURRED_BELOW = 5.0
JUDGED_FROM_PX = 48
"""Shorter sides below this are never called blurred or empty: an 8 x 8 digit has no detail to miss."""
NEAR_BITS = 5
"""At most so many of the 64 bits of the hash differ between near copies."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """One picture's measures.

    Attributes:
        darkest, lightest: the 5th and the 99th percentile of luminance, 0 … 255.
        information_bits: entropy of the luminance, 0 … 8; None where the picture is too small to say.
        sharpness: standard deviation of the Laplacian of the luminance; None where the picture is too small or too
            thin to say.
        near_hash: 64 bits as a signed integer, which databases hold; near copies differ in few of them.
    """

    darkest: int
    lightest: int
    information_bits: float | None
    sharpness: float | None
    near_hash: int


def look(image: Image.Image) -> Look:
    """Measure a decoded picture (RGB, any size)."""
    grey = image.convert("L")
    is_judged = min(grey.size) >= JUDGED_FROM_PX
    grey.thumbnail((MEASURED_PX, MEASURED_PX), Image.Resampling.BOX, reducing_gap=None)
    luminance = np.asarray(grey, dtype=np.float32)
    darkest, lightest = np.percentile(luminance, (5, 99))
    return Look(darkest=round(float(darkest)), lightest=round(float(lightest)),
                information_bits=grey.entropy() if is_judged else None,
                sharpness=_sharpness(luminance) if is_judged and min(luminance.shape) > 2 else None,
                near_hash=_near_hash(grey))


def _sharpness(luminance: np.ndarray) -> float:
    """Return the standard deviation of the discrete Laplacian of (H, W) luminance."""
    inner = luminance[1:-1, 1:-1]
    laplacian = (luminance[:-2, 1:-1] + luminance[2:, 1:-1] + luminance[1:-1, :-2] + luminance[1:-1, 2:] - 4 * inner)
    return float(laplacian.std())


def _near_hash(grey: Image.Image) -> int:
    """Return which of the 8 x 8 lowest frequencies of a 32 x 32 copy are above their median."""
    small = np.asarray(grey.resize((HASHED_PX, HASHED_PX), Image.Resampling.LANCZOS), dtype=np.float64)
    low = _COSINES @ small @ _COSINES.T
    bits = low > np.median(low.ravel()[1:])  # without the mean brightness
    return int.from_bytes(np.packbits(bits).tobytes(), "big", signed=True)


_COSINES = np.cos(np.pi / HASHED_PX * np.outer(np.arange(HASH_SIDE), np.arange(HASHED_PX) + 0.5))
"""The lowest rows of the DCT-II, (8, 32)."""


def near_groups(hashes: Sequence[int]) -> list[list[int]]:
    """Group pictures whose hashes are near, directly or by a third between them.

    Two hashes that differ in at most 5 bits agree in at least one of 6 bands of bits, so only pictures with a
    band in common are compared.

    Returns:
        the indices of each group of two or more, in order, the groups by their first.
    """
    codes = np.asarray(hashes, dtype=np.int64).view(np.uint64)
    distinct, place = np.unique(codes, return_inverse=True)
    root = np.arange(len(distinct))
    edges = np.linspace(0, 64, NEAR_BITS + 2).astype(int)
    for low, high in pairwise(edges):
        band = (distinct >> np.uint64(low)) & np.uint64((1 << int(high - low)) - 1)
        order = np.argsort(band, kind="stable")
        ones, step = np.arange(len(order)), 1
        while len(ones := ones[ones + step < len(order)]):  # those with a step-th neighbour in their bucket
            ones = ones[band[order[ones]] == band[order[ones + step]]]
            differing = np.bitwise_count(distinct[order[ones]] ^ distinct[order[ones + step]])
            for one in ones[differing <= NEAR_BITS]:
                _join(root, int(order[one]), int(order[one + step]))
            step += 1
    groups: dict[int, list[int]] = {}
    for index, code in enumerate(place):
        groups.setdefault(_root(root, int(code)), []).append(index)
    return [group for group in groups.values() if len(group) > 1]


def _root(root: np.ndarray, one: int) -> int:
    while root[one] != one:
        root[one] = root[root[one]]
        one = int(root[one])
    return one


def _join(root: np.ndarray, one: int, other: int) -> None:
    root[_root(root, other)] = _root(root, one)
