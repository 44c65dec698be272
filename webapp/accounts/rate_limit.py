"""Slows down guessing: so many failed sign-ins a name and an address, then a pause."""

from __future__ import annotations

import hashlib

from django.core.cache import cache
from django.http import HttpRequest

TRIES = 8
PAUSE_SECONDS = 5 * 60


def _keys(request: HttpRequest, user_name: str) -> list[str]:
    """Return the counters of one try: its address, and its name from anywhere."""
    address = request.META.get("REMOTE_ADDR", "")
    named = hashlib.sha256(user_name.casefold().encode()).hexdigest()
    return [f"sign-in:address:{address}", f"sign-in:name:{named}"]


def is_paused(request: HttpRequest, user_name: str) -> bool:
    """Tell whether too many tries have failed; ten times as many are let through an address as through a name."""
    by_address, by_name = (cache.get(key, 0) for key in _keys(request, user_name))
    return bool(by_name >= TRIES or by_address >= 10 * TRIES)


def note_failure(request: HttpRequest, user_name: str) -> None:
    """Count one failed try."""
    for key in _keys(request, user_name):
        cache.add(key, 0, PAUSE_SECONDS)
        cache.incr(key)


def forget(request: HttpRequest, user_name: str) -> None:
    """Clear the name's counter after a sign-in that worked."""
    cache.delete(_keys(request, user_name)[1])
