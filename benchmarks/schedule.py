"""When and what will be broken: drawn from a seed, so that a trial can be made again."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Kill:
    """One kill: so long after a round began, whatever is doing `role` then."""

    at_seconds: float
    role: str


def storm(seed: int, count: int, seconds: float, roles: Sequence[str]) -> list[Kill]:
    """Return `count` kills within `seconds`, in order of time; over the seeds every role gets its share."""
    generator = random.Random(f"storm {seed}")
    first = seed * count
    drawn = [deck(draw // len(roles), roles)[draw % len(roles)] for draw in range(first, first + count)]
    generator.shuffle(drawn)
    moments = sorted(generator.uniform(0, seconds) for _ in range(count))
    return [Kill(round(at, 2), role) for at, role in zip(moments, drawn, strict=True)]


def deck(number: int, roles: Sequence[str]) -> list[str]:
    """Return every role once, in an order that follows from the number."""
    shuffled = list(roles)
    random.Random(f"deck {number}").shuffle(shuffled)
    return shuffled


def cuts(seed: int, count: int, size_bytes: int) -> list[int]:
    """Return the places in a stream at which it is cut, in order."""
    return sorted(random.Random(f"cuts {seed}").sample(range(1, size_bytes), count))


def moment(seed: int, purpose: str, low_seconds: float, high_seconds: float) -> float:
    """Return when, within a span, something happens."""
    return random.Random(f"{purpose} {seed}").uniform(low_seconds, high_seconds)
