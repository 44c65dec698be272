"""Programs kept running: started in order, restarted when they die, stopped in order, never left behind.

Every program is tied to its supervisor (`workers.tether`), so even ``kill -9`` of it leaves nothing.
"""

from __future__ import annotations

import logging.handlers
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO

SOURCES = Path(__file__).resolve().parents[1]
TETHER = Path(__file__).resolve().with_name("tether.py")
LONGEST_PAUSE_SECONDS = 30.0
STEADY_SECONDS = 60.0
"""A program that has run for this long has recovered: its next restart comes at once again."""
LOG_BYTES, LOG_FILES = 5_000_000, 3

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Program:
    """Something to keep running.

    Attributes:
        name: stands before each of its lines.
        command: what to run, in the folder of the sources.
        environment: on top of the supervisor's own.
        patience_seconds: how long it may take to stop before it is killed.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    patience_seconds: float = 4.0


class Kept:
    """One program and its present process."""

    def __init__(self, program: Program, say: Say, logs: Path | None) -> None:
        self.program = program
        self._say, self._log = say, _log_file(logs, program.name)
        self._process: subprocess.Popen[str] | None = None
        self._relays: list[threading.Thread] = []
        self._began = self._start_at = 0.0
        self._pause_seconds = 0.5

    def keep(self) -> None:
        """Start the process if there is none and its pause is over; note when it has died."""
        now = time.monotonic()
        if self._process is None:
            if now >= self._start_at:
                self._start()
        elif (code := self._process.poll()) is not None:
            steady = now - self._began > STEADY_SECONDS
            self._pause_seconds = 1.0 if steady else min(2 * self._pause_seconds, LONGEST_PAUSE_SECONDS)
            self._start_at, self._process = now + self._pause_seconds, None
            self._say(f"{self.program.name} ended ({code}); it starts again in {self._pause_seconds:.0f} s")

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def wait_until_stopped(self, deadline: float) -> None:
        """Wait until `deadline`, then kill."""
        if self._process is not None:
            try:
                self._process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self._say(f"{self.program.name} does not stop; it is killed")
                self._process.kill()
                self._process.wait()
            self._process = None
        for relay in self._relays:
            relay.join(1.0)  # its last words; a grandchild that lives on may hold the pipe open
        if self._log is not None:
            self._log.close()

    def _start(self) -> None:
        """Start the process, tied to this one, in a session of its own so that Ctrl-C reaches only the supervisor."""
        self._began = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, str(TETHER), str(os.getpid()), *self.program.command], cwd=SOURCES,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **self.program.environment}, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        assert self._process.stdout is not None
        self._relays = [relay for relay in self._relays if relay.is_alive()]
        self._relays.append(threading.Thread(target=self._relay, args=[self._process.stdout], daemon=True))
        self._relays[-1].start()

    def _relay(self, output: IO[str]) -> None:
        """Show and store each line that the process prints."""
        with output:
            for line in output:
                is_structured = line.startswith("{")  # LABELFREE_LOGS=json: a name before it would spoil the JSON
                self._say(line.rstrip() if is_structured else f"{self.program.name:>6} | {line.rstrip()}")
                if self._log is not None:
                    self._log.emit(logging.makeLogRecord({"msg": line.rstrip()}))


def supervise(tiers: Sequence[Sequence[Program]], say: Say, stopping: threading.Event,
              logs: Path | None = None) -> None:
    """Keep every program running until `stopping` is set; then stop them, the last tier first.

    Args:
        tiers: programs started together and stopped together.
        say: takes each line for the person.
        stopping: set by whoever wants the end.
        logs: folder of a log file for each program; None keeps none.
    """
    kept = [[Kept(program, say, logs) for program in tier] for tier in tiers]
    try:
        while not stopping.is_set():
            for tier in kept:
                for one in tier:
                    one.keep()
            stopping.wait(0.2)
    finally:
        for tier in reversed(kept):
            for one in tier:
                one.ask_to_stop()
            deadline = time.monotonic() + max((one.program.patience_seconds for one in tier), default=0.0)
            for one in tier:
                one.wait_until_stopped(deadline)


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """Give an event that Ctrl-C or SIGTERM sets."""
    stopping = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopping.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _log_file(folder: Path | None, name: str) -> logging.Handler | None:
    """Return where a program's lines are stored; old ones make room for new ones."""
    if folder is None:
        return None
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handler = logging.handlers.RotatingFileHandler(folder / f"{name}.log", maxBytes=LOG_BYTES, backupCount=LOG_FILES,
                                                   encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    return handler
