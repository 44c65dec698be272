"""Changes that a file suffers on its way, or at the hands of somebody who means harm; all drawn from a seed."""

from __future__ import annotations

import random
from collections.abc import Sequence

NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
"""Lengths and counts at which decoders stumble."""
HEAD_BYTES = 160
"""Where most formats say what they are: half of the changes are made there."""


def changed(original: bytes, draws: random.Random, donors: Sequence[bytes] = ()) -> bytearray:
    """Return a copy with one to eight changes; now and then its end is that of one of `donors`."""
    content = bytearray(original)
    for _ in range(draws.choice((1, 1, 2, 3, 8))):
        draws.choice(CHANGES)(content, draws)
    if donors and draws.random() < 0.05:
        donor = draws.choice(donors)
        content[place(content, draws):] = donor[draws.randrange(len(donor)):]
    return content


def place(content: bytearray, draws: random.Random) -> int:
    """Return a place in the file, half of the time near its head."""
    return draws.randrange(max(1, min(len(content), HEAD_BYTES) if draws.random() < 0.5 else len(content)))


def flip_a_bit(content: bytearray, draws: random.Random) -> None:
    """Change one bit."""
    if content:
        content[place(content, draws)] ^= 1 << draws.randrange(8)


def write_a_number(content: bytearray, draws: random.Random) -> None:
    """Write a number at which decoders stumble over what stands there."""
    width, at = draws.choice((1, 2, 4)), place(content, draws)
    number = draws.choice(NUMBERS) & ((1 << 8 * width) - 1)
    content[at:at + width] = number.to_bytes(width, draws.choice(("big", "little")))


def write_noise(content: bytearray, draws: random.Random) -> None:
    """Write random bytes over what stands there."""
    at, length = place(content, draws), draws.randint(1, 64)
    content[at:at + length] = draws.randbytes(length)


def cut_off(content: bytearray, draws: random.Random) -> None:
    """End the file early."""
    del content[draws.randrange(len(content) + 1):]


def leave_out(content: bytearray, draws: random.Random) -> None:
    """Remove a piece."""
    at = place(content, draws)
    del content[at:at + draws.randint(1, 64)]


def repeat(content: bytearray, draws: random.Random) -> None:
    """Say a piece twice or more often."""
    at = place(content, draws)
    piece = content[at:at + draws.randint(1, 256)]
    content[at:at] = piece * draws.choice((1, 2, 50))


def swap(content: bytearray, draws: random.Random) -> None:
    """Let two pieces change places."""
    length, one, other = draws.randint(1, 32), place(content, draws), place(content, draws)
    content[one:one + length], content[other:other + length] = (content[other:other + length],
                                                                content[one:one + length])


CHANGES = (flip_a_bit, flip_a_bit, write_a_number, write_a_number, write_a_number, write_noise, cut_off, leave_out,
           repeat, swap)
