"""One seed, many independent streams: every purpose of a run draws from a generator of its own."""

from __future__ import annotations

import hashlib

import torch


def seeded(seed: int, purpose: str) -> torch.Generator:
    """Return a CPU generator that depends on `seed` and `purpose` alone, so that runs repeat anywhere."""
    mixed = hashlib.sha256(f"{seed}:{purpose}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(mixed[:7], "big"))
