"""How long each kind of request took, and what was wrong with those that failed."""

from __future__ import annotations

import math
import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


class Wrong(Exception):
    """An answer that is not what was asked for; the message says what."""


class Stopwatch:
    """Collects seconds by kind of request while it is running; what is asked before or after does not count."""

    def __init__(self) -> None:
        self.is_running = False
        self._seconds: dict[str, list[float]] = defaultdict(list)
        self._wrong: Counter[str] = Counter()

    @contextmanager
    def timing(self, kind: str) -> Iterator[None]:
        """Time one request, or note what went wrong with it and go on."""
        began, counted = time.perf_counter(), self.is_running
        try:
            yield
        except (Wrong, OSError, TimeoutError) as error:
            self._wrong[f"{kind}: {error or type(error).__name__}"] += 1
        else:
            if counted:
                self._seconds[kind].append(time.perf_counter() - began)

    @property
    def count(self) -> int:
        """Return how many requests were timed."""
        return sum(map(len, self._seconds.values()))

    @property
    def wrong(self) -> list[str]:
        """Return what went wrong, each thing once with its count; counted from the first request on."""
        return [f"{what} ({count} times)" for what, count in self._wrong.most_common()]

    def p95_milliseconds(self) -> dict[str, float]:
        """Return by kind the time within which 95 of 100 requests were answered."""
        return {kind: round(1000 * percentile(seconds, 0.95), 1) for kind, seconds in sorted(self._seconds.items())}

    def overall_p95_milliseconds(self) -> float:
        """Return the same over all requests."""
        return round(1000 * percentile([one for some in self._seconds.values() for one in some], 0.95), 1)


def percentile(values: Iterable[float], share: float) -> float:
    """Return the smallest value that so many of all are not above."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


class Machine:
    """What keeps this machine's processors busy, since `Machine()`: we, others, and those that share its host."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        (self._busy, self._stolen), self._own = busy_seconds(), own_seconds()

    def busy_cores(self) -> tuple[float, float, float]:
        """Return how many cores on average were busy with ours, with the work of others, and stolen by the host."""
        seconds = time.monotonic() - self._began
        ours = {number: used - self._own.get(number, 0.0) for number, used in own_seconds().items()}
        own = sum(ours.values()) / seconds
        busy, stolen = busy_seconds()
        return own, max(0.0, (busy - self._busy) / seconds - own), (stolen - self._stolen) / seconds


def busy_seconds() -> tuple[float, float]:
    """Return the seconds that this machine's processors have worked since it started, and that its host stole."""
    user, nice, system, _idle, _wait, interrupt, soft, stolen = map(
        int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + interrupt + soft) / TICKS_A_SECOND, stolen / TICKS_A_SECOND


def own_seconds() -> dict[int, float]:
    """Return by number for how long this process and all that it started have worked."""
    parents: dict[int, int] = {}
    used: dict[int, float] = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = file.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended
        number = int(file.parent.name)
        parents[number] = int(fields[1])
        used[number] = sum(map(int, fields[11:15])) / TICKS_A_SECOND
    return {number: seconds for number, seconds in used.items() if _is_ours(number, parents)}


def _is_ours(number: int, parents: dict[int, int]) -> bool:
    while number and number != os.getpid():
        number = parents.get(number, 0)
    return number == os.getpid()
