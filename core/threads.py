"""How many threads a computation uses: one, where more would cost more than they bring."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits

MANY_FEATURES = 3_000_000


@contextmanager
def few_threads(num_features: int) -> Iterator[None]:
    """Work with a matrix of so many features (N x D) on one thread where it is small, for a while.

    Small products end before their threads have met. On two busy cores TURTLE's step at 2,000 x 256,
    K = 10, took 8 ms on one thread and 240 ms on two; a small logistic regression a fifth of the time.
    """
    if num_features >= MANY_FEATURES:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)
