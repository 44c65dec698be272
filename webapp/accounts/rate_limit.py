"""Slows down guessing: so many failed sign-ins a name and an address, then a pause."""

from __future__ import annotations

import hashlib
from contextlib import suppress

from django.core.cache import cache
from django.http import HttpRequest

TRIES = 8
TRIES_AN_ADDRESS = 80
PAUSE_SECONDS = 5 * 60


def _keys(request: HttpRequest, user_name: str) -> list[str]:
    """Return the counters of one try: its address, and its name from anywhere."""
    address = request.META.get("REMOTE_ADDR", "")
    named = hashlib.sha256(user_name.casefold().encode()).hexdigest()
    return [f"sign-in:address:{address}", f"sign-in:name:{named}"]


def admits(request: HttpRequest, user_name: str) -> bool:
    """Count a try, and tell whether it may be made; ten times as many are let through an address as through a name.

    It counts before the password is looked at: of many that come at once, none may see the others uncounted. What an
    address may not try any more does not count for the name, else it could pause everybody's.
    """
    address, name = _keys(request, user_name)
    return _count(address) <= TRIES_AN_ADDRESS and _count(name) <= TRIES


def forget(request: HttpRequest, user_name: str) -> None:
    """Clear the name's counter after a sign-in that worked, and do not hold that one against its address."""
    address, name = _keys(request, user_name)
    cache.delete(name)
    with suppress(ValueError):  # its pause ended just now
        cache.decr(address)


def _count(key: str) -> int:
    """Count one more; return how many there are in this pause."""
    cache.add(key, 0, PAUSE_SECONDS)
    try:
        return cache.incr(key)
    except ValueError:  # the pause ended between the two
        cache.set(key, 1, PAUSE_SECONDS)
        return 1
