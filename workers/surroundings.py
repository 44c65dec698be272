"""What a method sees of the worker: a `core.run.Run` that talks to its parent and heeds its signal."""

from __future__ import annotations

import fcntl
import json
import math
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO, TYPE_CHECKING

import torch
from django.db import InterfaceError, OperationalError, close_old_connections

from core.errors import Cancelled, Paused
from core.pictures import Pictures
from core.randomness import seeded
from core.run import Progress
from core.training.checkpoint import Checkpoints
from workers.lease import Lease, LeaseLost
from workers.spawn import Clock, end_child

if TYPE_CHECKING:
    from core.run import Run

TELL_SECONDS = 0.9
CHECK_SECONDS = 10.0
PAUSE_PATIENCE_SECONDS = 10.0
"""How long a pause waits for a checkpoint; a stage that saves none is then done again."""
FOLDER_PATIENCE_SECONDS = 20.0
"""How long the next attempt waits for the last one's process, which it cannot kill, to let go of the run's folder."""
RATE_WINDOW_SECONDS = 30.0


class Pipe:
    """The child's end of the pipe to its parent: one JSON object a line."""

    def __init__(self, descriptor: int) -> None:
        self._file: IO[bytes] = os.fdopen(descriptor, "wb", buffering=0)

    def say(self, **message: object) -> None:
        """Send one message."""
        self._file.write(json.dumps(message).encode() + b"\n")


class Pace:
    """How fast steps go by lately, and so how long the rest will take."""

    def __init__(self) -> None:
        self._marks: list[tuple[float, int]] = []

    def seconds_left(self, step: int, total: int, now: float) -> float | None:
        """Return the time the remaining steps will take at the pace of the last half minute."""
        self._marks = [mark for mark in self._marks if now - mark[0] <= RATE_WINDOW_SECONDS] + [(now, step)]
        began, first = self._marks[0]
        elapsed = now - began
        if elapsed < 2 or step <= first:
            return None
        return (total - step) * elapsed / (step - first)


class WorkerRun:
    """The surroundings of a method in a worker; a `core.run.Run`.

    Attributes:
        finishing: set when the method is done: what follows is told as stages of the last step.
        on_check: called every ten seconds or so of reporting.
    """

    def __init__(self, *, lease: Lease, seed: int, folder: Path, pipe: Pipe, image_ids: Sequence[int],
                 memory_share: float = 1.0) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.seed = seed
        self.folder = folder
        self.checkpoints = Checkpoints(folder)
        self.pictures = Pictures(folder / f"pictures-{lease.token[:8]}")
        self.memory_share = memory_share
        self.finishing = False
        self.on_check: Callable[[], object] = lambda: None
        self._lease, self._pipe, self._image_ids = lease, pipe, image_ids
        self._stop = False
        self._pause_by: float | None = None
        self._tell, self._check, self._pace = Clock(TELL_SECONDS), Clock(CHECK_SECONDS), Pace()
        self._fetched = Pace()
        self._stages_told: set[str] = set()
        self._unwritten: list[str] = []
        self._stage, self._last = "", Progress(stage="starting", step=0, total=0)
        signal.signal(signal.SIGTERM, self._asked_to_stop)
        signal.signal(signal.SIGUSR1, self._asked_to_pause)

    def generator(self, purpose: str) -> torch.Generator:
        """Return a CPU generator seeded by the run's seed and `purpose`."""
        return seeded(self.seed, purpose)

    def report(self, progress: Progress) -> None:
        """Tell the parent, at most about once a second and at every change of stage.

        Raises:
            Cancelled: the parent asked to stop.
            Paused: the parent asked to pause, and what is learnt is saved.
            LeaseLost: somebody else has the run now.
        """
        self._heed()
        if not self.finishing:
            self._last = progress
        if self._is_news(progress.stage, progress.step == progress.total):
            self._pipe.say(progress=self._message(progress))

    def stage(self, name: str) -> None:
        """Say what is being done now, after the method itself."""
        self.report(Progress(stage=name, step=self._last.total, total=self._last.total))

    def fetching(self, done: int, count: int) -> None:
        """Say how many images were copied to this machine: that comes before the method, and is none of its steps.

        Raises:
            Cancelled, Paused, LeaseLost: as `report`.
        """
        self._heed()
        if self._is_news("fetching images", done == count):
            left = self._fetched.seconds_left(done, count, time.monotonic())
            self._pipe.say(progress={"stage": self._stage, "seconds_left": left,
                                     "images_per_second": (count - done) / left if left else None})

    def log(self, text: str) -> None:
        """Add a line to the run's log; where the database does not answer, together with the next one.

        The child writes it itself: what its parent has yet to write when the run ends would come after the end.

        Raises:
            LeaseLost: somebody else has the run now.
        """
        self._unwritten.append(text)
        try:
            self._lease.write(*self._unwritten)
        except (OperationalError, InterfaceError):
            close_old_connections()
            return
        self._unwritten.clear()

    def _heed(self) -> None:
        """Stop where the parent asked to, or the run is no longer ours."""
        if self._stop:
            raise Cancelled
        if self._pause_by is not None and (not self.checkpoints.is_wanted or time.monotonic() > self._pause_by):
            raise Paused
        if self._check.is_due():
            self.on_check()
            if not self._still_held():
                raise LeaseLost

    def _is_news(self, stage: str, is_last: bool) -> bool:
        """Tell whether the parent is to hear of it now; a stage that is new goes into the log as well."""
        if not (self._tell.is_due() or stage != self._stage or is_last):
            return False
        self._stage = stage
        if stage not in self._stages_told:  # the run page draws its timeline from these lines
            self._stages_told.add(stage)
            self.log(f"stage: {stage}")
        return True

    def _still_held(self) -> bool:
        """Tell whether the run is ours; while the database is away the parent judges, by how long that lasts."""
        try:
            return self._lease.is_held()
        except (OperationalError, InterfaceError):
            close_old_connections()
            return True

    def _message(self, progress: Progress) -> dict[str, object]:
        """Return a report as the row has it: the images by their ids, and the time that is left."""
        message: dict[str, object] = {"stage": progress.stage, "images_per_second": progress.images_per_second}
        if self.finishing:
            return message | {"step": self._last.total, "total": self._last.total, "seconds_left": None}
        message |= {"step": progress.step, "total": progress.total,
                    "terms": {name: term for name, term in progress.terms.items() if math.isfinite(term)},
                    "seconds_left": self._pace.seconds_left(progress.step, progress.total, time.monotonic())}
        if progress.histogram:
            message["histogram"] = progress.histogram
        if progress.samples:
            message["samples"] = [[self._image_ids[image], label, round(confidence, 4)]
                                  for image, label, confidence in progress.samples]
        return message

    def _asked_to_stop(self, _signal: int, _frame: FrameType | None) -> None:
        self._stop = True

    def _asked_to_pause(self, _signal: int, _frame: FrameType | None) -> None:
        self.checkpoints.is_wanted = True
        self._pause_by = time.monotonic() + PAUSE_PATIENCE_SECONDS


class FolderHeld(Exception):
    """An earlier attempt's process does not let go of the run's folder, and cannot be killed from here."""


@contextmanager
def take_folder(folder: Path, lease: Lease) -> Iterator[None]:
    """Lock a run's folder for this process, so that two attempts never write one checkpoint.

    The file says who holds it. An earlier attempt's process that still does, for it is frozen, is killed.

    Raises:
        FolderHeld: it is not to be found on this machine, and does not let go.
        LeaseLost: the earlier attempt is ours.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    deadline = time.monotonic() + FOLDER_PATIENCE_SECONDS
    with (folder / "lock").open("a+") as file:
        while not _locked(file):
            if time.monotonic() > deadline:
                raise FolderHeld(f"an earlier attempt's process still holds this folder ({folder}); end that process")
            file.seek(0)
            process_id, _, token = file.read().partition(" ")
            if not lease.is_held():
                raise LeaseLost
            if process_id.isdecimal() and end_child(int(process_id), token):  # ours is held, so its token is worthless
                lease.write("an earlier attempt's process still held the run's folder, and was killed")
            time.sleep(0.5)
        file.truncate(0)
        file.write(f"{os.getpid()} {lease.token}")
        file.flush()
        yield


def _locked(file: IO[str]) -> bool:
    """Try to lock a file; return whether it is."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


if TYPE_CHECKING:
    _: type[Run] = WorkerRun
