"""One attempt of one run, watched: claim the row, start the child, keep the lease, write what it reports.

The parent holds no model and imports no torch. It is a loop that wakes twice a second, so a child
that crashes, is killed for memory or stops answering can take nothing with it.
"""

from __future__ import annotations

import logging
import signal
import socket
import time
from pathlib import Path
from threading import Event
from typing import Any

from django.conf import settings
from django.db import OperationalError, close_old_connections, transaction

from webapp.runs.models import LEASE, MAX_ATTEMPTS, ProgressPoint, Run
from workers.app import send
from workers.lease import Lease, LeaseLost
from workers.spawn import Child, Clock, Message

HEARTBEAT_SECONDS = 10.0
WRITE_SECONDS = 1.0
CANCEL_PATIENCE_SECONDS = 15.0
"""A child that has not stopped this long after it was asked to is killed."""
SHUTDOWN_PATIENCE_SECONDS = 2.0
TIDY_SECONDS = 10.0
PROGRESS_FIELDS = ("stage", "step", "total", "images_per_second", "seconds_left", "histogram", "samples")

logger = logging.getLogger(__name__)


def run_folder(run_id: int) -> Path:
    """Return the folder that holds a run's checkpoints, log and package."""
    return Path(settings.RUNS_ROOT) / str(run_id)


def execute(run_id: int, stopping: Event) -> None:
    """Do one attempt of a run, unless somebody else has it or it is over.

    Args:
        run_id: key of the row.
        stopping: set when the worker is told to stop; the run then goes back to the queue.
    """
    lease = Lease.claim(run_id)
    if lease is None:
        logger.info("run %s is not to be had: taken, ended or cancelled", run_id)
        return
    attempt = Run.objects.only("attempt").get(pk=run_id).attempt
    try:
        lease.write(f"attempt {attempt} of {MAX_ATTEMPTS} begins on {socket.gethostname()}")
        with Child(lease, run_folder(run_id) / "output.log") as child:
            try:
                _Watch(lease, child, stopping).until_it_ends()
            except LeaseLost:
                if Run.objects.filter(pk=run_id, status=Run.Status.SUCCEEDED).exists():
                    child.exit_code(TIDY_SECONDS)  # it ended the run itself and is tidying up
                raise
    except LeaseLost:
        logger.info("run %s is no longer ours; stopped without a word", run_id)


class _Watch:
    """The parent's eye on one child."""

    def __init__(self, lease: Lease, child: Child, stopping: Event) -> None:
        self.lease, self.child, self.stopping = lease, child, stopping
        self.progress: Message | None = None
        self.outcome: Message | None = None
        self.stop_reason = ""
        self.kill_at = float("inf")
        self.lease_good_until = time.monotonic() + LEASE.total_seconds()
        self.first_point = True

    def until_it_ends(self) -> None:
        """Listen, write and renew until the child says no more; then write how it ended."""
        write, beat = Clock(WRITE_SECONDS), Clock(HEARTBEAT_SECONDS)
        while (messages := self.child.messages(timeout_seconds=0.5)) is not None:
            for message in messages:
                self._hear(message)
            if write.is_due():
                self._keep(renew=beat.is_due())
            if time.monotonic() > self.kill_at:
                self.child.kill()
        self.child.exit_code()
        if not self._succeeded():
            self._keep(renew=True)
        self._end()

    def _hear(self, message: Message) -> None:
        """Take in one message of the child."""
        if "progress" in message:
            self.progress = message["progress"]
        else:
            self.outcome = message

    def _keep(self, renew: bool) -> None:
        """Write the newest progress, renew the lease when due, and see whether anyone asked to stop.

        A database that does not answer for a moment is waited for, but never longer than the lease:
        after that the run may be somebody else's.
        """
        try:
            if renew or self.progress is not None:
                self._write_progress()
            if not self.stop_reason and self.lease.cancel_requested():
                self._ask_to_stop("cancel", CANCEL_PATIENCE_SECONDS)
        except OperationalError:
            logger.warning("the database does not answer; trying again", exc_info=True)
            close_old_connections()
            if time.monotonic() > self.lease_good_until:
                raise LeaseLost from None
        if not self.stop_reason and self.stopping.is_set():
            self._ask_to_stop("shutdown", SHUTDOWN_PATIENCE_SECONDS)

    def _write_progress(self) -> None:
        """Write the row and a point of the plot in one transaction, so that the lease fences both."""
        began, progress, self.progress = time.monotonic(), self.progress, None
        fields: dict[str, Any] = {name: progress[name] for name in PROGRESS_FIELDS if progress and name in progress}
        with transaction.atomic():
            self.lease.write(**fields)
            if progress and progress.get("terms"):
                if self.first_point:  # an attempt that resumes draws over what it repeats
                    ProgressPoint.objects.filter(run_id=self.lease.run_id, step__gte=progress["step"]).delete()
                    self.first_point = False
                ProgressPoint.objects.create(run_id=self.lease.run_id, step=progress["step"], terms=progress["terms"])
        self.lease_good_until = began + LEASE.total_seconds()

    def _ask_to_stop(self, reason: str, patience_seconds: float) -> None:
        """Ask the child to stop at its next report, and kill it if it does not."""
        self.stop_reason = reason
        self.kill_at = time.monotonic() + patience_seconds
        self.child.stop()

    def _succeeded(self) -> bool:
        return self.outcome is not None and bool(self.outcome.get("succeeded"))

    def _end(self) -> None:
        """Write how the attempt ended; a success was written by the child together with its answers."""
        code, outcome = self.child.process.returncode, self.outcome or {}
        if self._succeeded() or outcome.get("lost"):
            return
        if self.stop_reason == "cancel" or (outcome.get("cancelled") and self.lease.cancel_requested()):
            self.lease.cancel()
        elif "failed" in outcome:
            self.lease.fail(str(outcome["failed"]), bool(outcome.get("retryable")))
        elif self.stop_reason == "shutdown":
            self.lease.release("the worker was told to stop", count_attempt=False)
            send("execute_run", self.lease.run_id, "gpu")
        elif self.child.was_killed_for_memory():
            self.lease.fail("The machine ran out of memory and stopped the run. Try a smaller batch size or a smaller "
                            "foundation model, or give the worker more memory; the same again will not help.")
        elif code == -signal.SIGKILL:
            self._again("its process was killed")
        else:
            self.lease.fail(f"The run's process ended unexpectedly ({_how(code)}). Its last words: "
                            f"{self.child.last_words() or 'none'}. Start the run again; if it ends the same way, the "
                            f"file {self.child.log} on the worker says more.", retryable=True)

    def _again(self, reason: str) -> None:
        """Put the run back on the queue with its checkpoint, or fail it when it has had its attempts."""
        if Run.objects.only("attempt").get(pk=self.lease.run_id).attempt >= MAX_ATTEMPTS:
            self.lease.fail(worn_out(reason), retryable=True)
            return
        self.lease.release(reason, count_attempt=True)
        send("execute_run", self.lease.run_id, "gpu")


def worn_out(reason: str) -> str:
    """Return the words for a run that used up its attempts."""
    return (f"Tried {MAX_ATTEMPTS} times and never got to the end; the last time {reason}. Check that the machine has "
            "enough memory and that nothing stops the worker, then start the run again.")


def _how(code: int) -> str:
    """Return how a process ended, for a person."""
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
