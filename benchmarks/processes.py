"""The processes of one labelfree, found in /proc by its home and named by what they do; never anybody else's."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

STOP_SECONDS = 60.0


@dataclass(frozen=True)
class Process:
    """A living process and its command."""

    pid: int
    parent: int
    command: tuple[str, ...]

    def has(self, *words: str) -> bool:
        """Tell whether its command has all of these arguments."""
        return set(words) <= set(self.command)


ROLES: Mapping[str, Callable[[Process], bool]] = {
    "web": lambda one: one.has("uvicorn"),
    "worker": lambda one: one.has("manage.py", "worker"),
    "node of the runs": lambda one: one.has("celery", "gpu"),
    "node of the quick lane": lambda one: one.has("celery", "quick"),
    "node of the files": lambda one: one.has("celery", "cpu"),
    "node of single images": lambda one: one.has("celery", "trial"),
    "reaper": lambda one: one.has("workers.reaper"),
    "child": lambda one: one.has("workers.child"),
    "redis": lambda one: Path(one.command[0].split()[0]).name == "redis-server",
}
"""What a process does, by its command. A node of the files reads uploads in processes that share its command."""


def living(home: Path) -> list[Process]:
    """Return the processes that were started for a home, and what they started; this one is left out.

    Redis writes its title over its environment: it is known by whose child it is.
    """
    mark = f"LABELFREE_HOME={home}".encode()
    there, found = {}, set()
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        with suppress(OSError, IndexError, ValueError):  # it has just ended
            state, parent = (folder / "stat").read_text().rpartition(") ")[2].split()[:2]
            command = (folder / "cmdline").read_bytes().decode(errors="replace").rstrip("\0 ").split("\0")
            if state in "ZX" or not command[0]:
                continue
            one = there[int(folder.name)] = Process(int(folder.name), int(parent), tuple(command))
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                found.add(one.pid)
    while more := {pid for pid, one in there.items() if one.parent in found} - found:
        found |= more
    return [there[pid] for pid in sorted(found)]


def find(home: Path, role: str) -> list[int]:
    """Return the ids of a home's processes of a role."""
    return sorted(one.pid for one in living(home) if ROLES[role](one))


def below(home: Path, pid: int) -> set[int]:
    """Return the ids of a process and all that came of it."""
    children: dict[int, list[int]] = {}
    for one in living(home):
        children.setdefault(one.parent, []).append(one.pid)
    found, waiting = set(), [pid]
    while waiting:
        found.add(waiting[-1])
        waiting += children.get(waiting.pop(), [])
    return found


def kill(pid: int) -> bool:
    """End a process as nothing can prevent; return whether it was there."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def end(home: Path) -> list[int]:
    """End what is left of a home; return the ids."""
    return [one.pid for one in living(home) if kill(one.pid)]


@contextmanager
def frozen(*pids: int) -> Iterator[None]:
    """Stop processes where they are, and let them go on afterwards.

    Raises:
        TimeoutError: the kernel does not stop one.
    """
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        deadline = time.monotonic() + STOP_SECONDS
        while not all(is_stopped(pid) for pid in pids):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not all of {pids} have stopped within {STOP_SECONDS:.0f} s")
            time.sleep(0.01)
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def is_stopped(pid: int) -> bool:
    """Tell whether a process stands still."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("T")


def resident_bytes(pid: int) -> int:
    """Return how much memory a process holds, 0 where it has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return 1024 * int(line.split()[1])
    return 0
