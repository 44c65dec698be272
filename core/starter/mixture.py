"""The pretraining mixture: WebP shards decoded once into one memory-mapped array.

Shapes: N images, each (3, 64, 64) uint8, centre-cropped to a square.
"""

from __future__ import annotations

import io
import itertools
from dataclasses import dataclass
from multiprocessing import Pool
from pathlib import Path

import numpy as np
from PIL import Image

IMAGE_SIZE_PX = 64
HELD_OUT_COUNT = 9_000
"""The last images of the last shard are never trained on; the shards are shuffled."""


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """Decoded images with their class names and sources; `train` and `held_out` index them."""

    images: np.ndarray
    label: np.ndarray
    source: np.ndarray
    names: tuple[str, ...]
    sources: tuple[str, ...]

    @property
    def train(self) -> np.ndarray:
        """Return the indices that training may draw."""
        return np.arange(len(self.label) - HELD_OUT_COUNT)

    @property
    def held_out(self) -> np.ndarray:
        """Return the indices kept for measuring."""
        return np.arange(len(self.label) - HELD_OUT_COUNT, len(self.label))


def decode(data: bytes) -> np.ndarray:
    """Decode one image file to (3, 64, 64) uint8, resized by the shorter side and centre-cropped."""
    with Image.open(io.BytesIO(data)) as opened:
        image = opened.convert("RGB")
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side))
    if side != IMAGE_SIZE_PX:
        square = square.resize((IMAGE_SIZE_PX, IMAGE_SIZE_PX), Image.Resampling.BICUBIC)
    return np.asarray(square).transpose(2, 0, 1)


def _decode_shard(shard: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    with np.load(shard) as arrays:
        data, offsets = arrays["bytes"].tobytes(), arrays["offsets"]
        label, source = arrays["label"].astype(str), arrays["source"].astype(str)
    images = np.stack([decode(data[a:b]) for a, b in itertools.pairwise(offsets)])
    return images, label, source


def load(data: Path, cache: Path) -> Mixture:
    """Decode ``pretrain-64px-*.npz`` under `data` into `cache` once, then memory-map it.

    Raises:
        FileNotFoundError: when `data` holds no shard.
    """
    images_file, labels_file = cache / "images.npy", cache / "labels.npz"
    if not labels_file.exists():
        shards = sorted(data.glob("pretrain-64px-*.npz"))
        if not shards:
            raise FileNotFoundError(f"no pretrain-64px-*.npz in {data}: pass DATA=DIR")
        cache.mkdir(parents=True, exist_ok=True)
        with Pool() as pool:
            parts = pool.map(_decode_shard, shards, chunksize=1)
        np.save(images_file, np.concatenate([part[0] for part in parts]))
        np.savez(labels_file, label=np.concatenate([part[1] for part in parts]),
                 source=np.concatenate([part[2] for part in parts]))
    with np.load(labels_file) as arrays:
        names, label = np.unique(arrays["label"], return_inverse=True)
        sources, source = np.unique(arrays["source"], return_inverse=True)
    return Mixture(images=np.load(images_file, mmap_mode="r"), label=label, source=source,
                   names=tuple(names.tolist()), sources=tuple(sources.tolist()))
