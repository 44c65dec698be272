"""A sparse sample of what the starters learnt from, as an archive: the replay collection of unsupervised finetuning.

Made where the mixture is, not shipped: most of its sets are for research only, or state no licence.
"""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import torch

from core.randomness import seeded
from core.starter.mixture import HELD_OUT_COUNT

SHARE = 0.1
"""Of the images that training may draw: the paper's (Li et al., 2021, arXiv:2110.09510, section 4)."""


def write(data: Path, file: Path, seed: int, share: float = SHARE) -> int:
    """Write a uniform sample of ``pretrain-64px-*.npz`` under `data`, as they are, to a tar; return how many.

    Raises:
        FileNotFoundError: when `data` holds no shard.
    """
    shards = sorted(data.glob("pretrain-64px-*.npz"))
    if not shards:
        raise FileNotFoundError(f"no pretrain-64px-*.npz in {data}: pass DATA=DIR")
    counts = [_count(shard) for shard in shards]
    train = sum(counts) - HELD_OUT_COUNT
    drawn = torch.randperm(train, generator=seeded(seed, "replay"))[:round(share * train)]
    chosen = np.sort(drawn.numpy())
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(file.name + ".part")
    with tarfile.open(part, "w") as tar:
        for shard, first, count in zip(shards, np.cumsum([0, *counts]), counts, strict=False):
            with np.load(shard) as arrays:
                data_bytes, offsets = arrays["bytes"].tobytes(), arrays["offsets"]
            for index in chosen[(chosen >= first) & (chosen < first + count)]:
                content = data_bytes[offsets[index - first]:offsets[index - first + 1]]
                entry = tarfile.TarInfo(f"{index:06d}.webp")
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    part.replace(file)
    return len(chosen)


def _count(shard: Path) -> int:
    with np.load(shard) as arrays:
        return len(arrays["offsets"]) - 1
