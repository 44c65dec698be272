"""Batches of views, made in threads ahead of their use: functions of the seed, the epoch and the images alone.

Shapes: B images, H = W the side that the network sees.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from hashlib import blake2b
from struct import pack

import numpy as np
import torch
from torch import Tensor

from core.data.images import ImageSet
from core.data.views import View, as_tensor

IMAGES_A_THREAD = 16
BATCHES_AHEAD = 2


def view_seed(seed: int, epoch: int, index: int, view: int) -> int:
    """Return the seed of one view of one image in one epoch, 64 bits that share nothing with its neighbours'."""
    return int.from_bytes(blake2b(pack("<QQQQ", seed % 2**64, epoch, index, view), digest_size=8).digest(), "little")


def shuffled(count: int, seed: int, epoch: int) -> list[int]:
    """Return 0 … count - 1 in the random order of one epoch."""
    generator = torch.Generator().manual_seed(view_seed(seed, epoch, count, 2**32) % 2**63)
    return [int(one) for one in torch.randperm(count, generator=generator)]


def batches(images: ImageSet, views: Sequence[View], indices: Sequence[int], batch_size: int, seed: int,
            epoch: int = 0) -> Iterator[tuple[Tensor, tuple[Tensor, ...]]]:
    """Yield (indices (B,), one (B, 3, H, W) in [0, 1] a view) over `indices` in their order.

    The last batch may be smaller. The next batches are made in threads while one is used.

    Args:
        images: where they come from.
        views: ways of looking at each image, seeded apart.
        indices: which images, in which order (see `shuffled`).
        batch_size: B.
        seed: of the run.
        epoch: so that an image looks different each time.

    Raises:
        DataError: when a file has gone or changed.
    """
    make = partial(_pixels, images, tuple(views), seed, epoch)
    parts = [list(indices[start:start + batch_size]) for start in range(0, len(indices), batch_size)]
    with ThreadPoolExecutor(max_workers=_threads(), thread_name_prefix="views") as pool:
        waiting: list[list[Future[list[list[np.ndarray]]]]] = []
        try:
            for position, part in enumerate(parts):
                for ahead in parts[position + len(waiting):position + 1 + BATCHES_AHEAD]:
                    waiting.append([pool.submit(make, ahead[start:start + IMAGES_A_THREAD])
                                    for start in range(0, len(ahead), IMAGES_A_THREAD)])
                made = [row for future in waiting.pop(0) for row in future.result()]
                yield (torch.tensor(part, dtype=torch.int64),
                       tuple(as_tensor(np.stack([row[view] for row in made])) for view in range(len(views))))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def training_batches(images: ImageSet, views: Sequence[View], batch_size: int, seed: int,
                     first: int = 0) -> Iterator[tuple[int, Tensor, tuple[Tensor, ...]]]:
    """Yield (step, indices, views) for ever, from the step `first` on: functions of the seed, the step and the images.

    Every epoch has an order of its own; its odd images that fill no batch are left out of it.

    Raises:
        DataError: when a file has gone or changed.
    """
    steps_an_epoch = len(images) // batch_size
    step = first
    while True:
        epoch, begun = divmod(step, steps_an_epoch)
        rest = shuffled(len(images), seed, epoch)[begun * batch_size:steps_an_epoch * batch_size]
        for indices, seen in batches(images, views, rest, batch_size, seed, epoch):
            yield step, indices, seen
            step += 1


def _pixels(images: ImageSet, views: tuple[View, ...], seed: int, epoch: int,
            part: Sequence[int]) -> list[list[np.ndarray]]:
    """Return the views of a few images."""
    return [[view.pixels(images.load(index, view.at_least_px), view_seed(seed, epoch, index, number))
             for number, view in enumerate(views)] for index in part]


def _threads() -> int:
    """Return how many threads may make views: the processors we are allowed, one left for the network."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1  # none on macOS
    return max(1, min(8, allowed - 1))
