"""Whose Gradio session is whose: the first user who shows a session hash owns it for a while.

Gradio hands a session's state and event stream to anyone who knows its hash; this register does not.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

LIFETIME_SECONDS = 12 * 3600
"""Counted from the last use: longer than an open panel is left alone."""
SESSIONS_AT_MOST = 50_000


class SessionOwners:
    """Session hash -> the user it belongs to, with an expiry. Lives in the one web process that Gradio needs."""

    def __init__(self, lifetime_seconds: float = LIFETIME_SECONDS, at_most: int = SESSIONS_AT_MOST,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._owners: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._lifetime_seconds = lifetime_seconds
        self._at_most = at_most
        self._clock = clock

    def claim(self, session_hash: str, user_id: int) -> bool:
        """Tell whether the session is this user's; a new or expired one becomes it."""
        now = self._clock()
        while self._owners and next(iter(self._owners.values()))[1] <= now:
            self._owners.popitem(last=False)
        owner, _ = self._owners.get(session_hash, (user_id, 0.0))
        if owner != user_id:
            return False
        self._owners[session_hash] = (user_id, now + self._lifetime_seconds)
        self._owners.move_to_end(session_hash)
        while len(self._owners) > self._at_most:
            self._owners.popitem(last=False)
        return True
