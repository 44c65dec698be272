"""A run's child process as its parent sees it: started, listened to, stopped, and how it died."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from workers.lease import Lease

Message = Mapping[str, Any]
SOURCES = Path(__file__).resolve().parents[1]
"""The folder that ``python -m workers.child`` is started in."""


def out_of_memory_kills() -> int:
    """Return how many processes the kernel has killed for memory since it started; 0 where it does not say."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


class Child:
    """The process that does one attempt of one run.

    It writes JSON lines into a pipe; it stops at its next report when it gets SIGTERM, and at its next
    checkpoint when it gets SIGUSR1. Leaving the
    ``with`` block kills it if it still lives.
    """

    def __init__(self, lease: Lease, log: Path) -> None:
        """Start the process; what it prints goes to the end of `log`."""
        reader, writer = os.pipe()
        self._kills_before = out_of_memory_kills()
        self._pipe = os.fdopen(reader, "rb", buffering=0)
        self._rest = b""
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._pipe, selectors.EVENT_READ)
        self.log = log
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "workers.child", str(lease.run_id), lease.token, str(writer), str(os.getpid())],
                cwd=SOURCES, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                pass_fds=[writer], start_new_session=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})
        os.close(writer)

    def __enter__(self) -> Child:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.kill()
        self._selector.close()
        self._pipe.close()

    def messages(self, timeout_seconds: float) -> list[Message] | None:
        """Return what the child has said, waiting at most `timeout_seconds`; None once it says no more."""
        if not self._selector.select(timeout_seconds):
            return []
        data = os.read(self._pipe.fileno(), 1 << 20)
        if not data:
            return None
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line) for line in lines if line]

    def stop(self) -> None:
        """Ask it to stop at its next report."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def pause(self) -> None:
        """Ask it to save a checkpoint and then to stop."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGUSR1)

    def kill(self) -> None:
        """End it now, and wait until it has ended."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def exit_code(self, timeout_seconds: float = 30) -> int:
        """Return its exit code (minus the signal that ended it), killing it if it does not end by itself."""
        try:
            return self.process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return int(self.process.returncode)

    def computed_seconds(self) -> float | None:
        """Return the processor time that it has used; None where the system does not say."""
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # utime and stime of proc(5)

    def was_killed_for_memory(self) -> bool:
        """Tell whether the kernel has killed a process for memory since this one started."""
        return self.process.returncode == -signal.SIGKILL and out_of_memory_kills() > self._kills_before

    def last_words(self) -> str:
        """Return the last line it printed, "" if none."""
        try:
            lines = self.log.read_text(errors="replace").splitlines()
        except OSError:
            return ""
        return next((line.strip() for line in reversed(lines) if line.strip()), "")[:500]


def end_child(process_id: int, token: str) -> bool:
    """Kill the child of an attempt whose parent does not; return whether it was there.

    It is known by the attempt's token among its arguments: a process id alone may be somebody else's by now, or
    of another machine or container that shares the folder. Linux only; elsewhere nothing is killed.
    """
    if sys.platform != "linux":
        return False
    try:
        process = os.pidfd_open(process_id)
    except OSError:
        return False
    try:
        arguments = Path(f"/proc/{process_id}/cmdline").read_bytes().decode(errors="replace").split("\0")
        if not {"workers.child", token} <= set(arguments):
            return False
        signal.pidfd_send_signal(process, signal.SIGKILL)
    except OSError:
        return False
    finally:
        os.close(process)
    return True


class Clock:
    """Tells when a thing that is done every so often is due again."""

    def __init__(self, every_seconds: float) -> None:
        """Be due at once, and then every `every_seconds`."""
        self.every_seconds = every_seconds
        self._last = float("-inf")

    def is_due(self) -> bool:
        """Tell whether it is time, and if so start counting anew."""
        now = time.monotonic()
        if now - self._last < self.every_seconds:
            return False
        self._last = now
        return True
