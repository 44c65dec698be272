"""The eye on the runs of a house: which worker holds which, since when, and what its death costs."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from benchmarks.house import House
from benchmarks.processes import below

LOOK_SECONDS = 0.25


@dataclass
class Hold:
    """One worker's hold on one run.

    Attributes:
        run: the run.
        owner: process id of its node.
        began, ended: when it was first and when it was no longer seen; `ended` None while it lasts.
        dead_at: when its node or its child was killed.
        unsaved_seconds: how much had been done since the last checkpoint when that happened.
    """

    run: int
    owner: int
    began: float
    ended: float | None = None
    dead_at: float | None = None
    unsaved_seconds: float = 0.0

    @property
    def noticed_seconds(self) -> float | None:
        """Return after how long its death was noticed; None where it did not die, or nobody has noticed yet."""
        return None if self.dead_at is None or self.ended is None else max(0.0, self.ended - self.dead_at)


@dataclass
class Watch:
    """Looks at the rows a few times a second, in a thread of its own.

    Attributes:
        holds: by the lease's token.
    """

    house: House
    holds: dict[str, Hold] = field(default_factory=dict)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Watch:
        self._thread = threading.Thread(target=self._look_on, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(60)

    def look(self) -> None:
        """Take note of who holds what now."""
        now = time.monotonic()
        rows = self.house.ledger.ask("select id, lease_token, lease_owner from runs_run where status = ?", "running")
        with self._lock:
            for run, token, owner in rows:
                self.holds.setdefault(token, Hold(run, int(owner.rpartition(":")[2]), now))
            held = {token for _, token, _ in rows}
            for token, hold in self.holds.items():
                if hold.ended is None and token not in held:
                    hold.ended = time.monotonic()

    def dies(self, pid: int) -> None:
        """Take note that a process is about to be killed: whoever holds a run dies with its node or its child."""
        self.look()
        dying, now = below(self.house.home, pid), time.monotonic()
        children = set(self.house.find("child"))
        with self._lock:
            for hold in self.holds.values():
                if hold.ended is None and hold.dead_at is None and (hold.owner in dying or pid in children):
                    hold.dead_at = now
                    hold.unsaved_seconds = self._unsaved_seconds(hold, now)

    def figures(self) -> dict[str, float]:
        """Return the longest time until a death was noticed, and the most work that was lost by one."""
        with self._lock:
            noticed = [hold.noticed_seconds for hold in self.holds.values() if hold.noticed_seconds is not None]
            repeated = [hold.unsaved_seconds for hold in self.holds.values() if hold.dead_at is not None]
        return ({"noticed_seconds": max(noticed)} if noticed else {}) | (
            {"repeated_seconds": max(repeated)} if repeated else {})

    def _unsaved_seconds(self, hold: Hold, now: float) -> float:
        """Return how long ago the attempt began, or saved a checkpoint if it has."""
        since = now - hold.began
        checkpoint = self.house.home / "runs" / str(hold.run) / "checkpoint.safetensors"
        return min(since, time.time() - checkpoint.stat().st_mtime) if checkpoint.exists() else since

    def _look_on(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            self.look()
