"""One attempt of one run, watched: claim the row, start the child, keep the lease, write what it reports.

The parent holds no model and imports no torch. It is a loop that wakes twice a second, so a child
that crashes, is killed for memory or stops answering can take nothing with it.
"""

from __future__ import annotations

import logging
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError, close_old_connections, transaction

from webapp.runs.models import LEASE, MAX_ATTEMPTS, MAX_HALVINGS, ProgressPoint, Run
from workers.app import send
from workers.lease import Lease, LeaseLost
from workers.spawn import Child, Clock, Message

HEARTBEAT_SECONDS = 10.0
WRITE_SECONDS = 1.0
CANCEL_PATIENCE_SECONDS = 15.0
"""A child that has not stopped this long after it was asked to is killed."""
PAUSE_PATIENCE_SECONDS = 30.0
"""The same of one that was asked to pause; it then goes on from the checkpoint before."""
SHUTDOWN_PATIENCE_SECONDS = 2.0
HUNG_SECONDS = 300.0
"""A child that has said nothing and computed next to nothing for so long never will: it is killed, and its run tried
again. Slow work is no sign of it: a long step computes, and so does what waits for a slow network."""
NEXT_TO_NOTHING_SECONDS = 0.1
"""Of processor time."""
TIDY_SECONDS = 10.0
OUT_OF_MEMORY = ("{where} ran out of memory, even with 1/{share} of the images held at once. Choose a smaller "
                 "foundation model or a smaller batch size, or give the worker more memory; the same again, unchanged, "
                 "will not help.")
PROGRESS_FIELDS = ("stage", "step", "total", "images_per_second", "seconds_left", "histogram", "samples")

logger = logging.getLogger(__name__)


def run_folder(run_id: int) -> Path:
    """Return the folder that holds a run's checkpoints, log and package."""
    return Path(settings.RUNS_ROOT) / str(run_id)


def execute(asked: int, stopping: Event, in_lane: bool = False) -> None:
    """Do one attempt of the run that is first in line.

    Messages come in the order in which they were sent; the rows say who is first. Each waiting run has sent a
    message, so none is left over when every message takes the first.

    Args:
        asked: key of the run that sent the message; mostly the one that is first.
        stopping: set when the worker is told to stop; the run then goes back to the queue.
        in_lane: whether this is the quick lane, which takes the first that it is offered.
    """
    lease = Lease.claim_first(of_lane=in_lane)
    if lease is None:
        logger.info("nothing waits; run %s was taken, has ended or was cancelled", asked, extra={"run": asked})
        return
    run_id = lease.run_id
    attempt = Run.objects.only("attempt").get(pk=run_id).attempt
    try:
        lease.write(f"attempt {attempt} of {MAX_ATTEMPTS} begins on {socket.gethostname()}"
                    + (", in the quick lane, on the CPU" if in_lane else ""))
        with Child(lease, run_folder(run_id) / "output.log") as child:
            try:
                _Watch(lease, child, stopping).until_it_ends()
            except LeaseLost:
                if Run.objects.filter(pk=run_id, status=Run.Status.SUCCEEDED).exists():
                    child.exit_code(TIDY_SECONDS)  # it ended the run itself and is tidying up
                raise
    except LeaseLost:
        logger.info("run %s is no longer ours; stopped without a word", run_id, extra={"run": run_id})


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
        self.alive_at, self.computed_then = time.monotonic(), 0.0

    def until_it_ends(self) -> None:
        """Listen, write and renew until the child says no more; then write how it ended."""
        write, beat = Clock(WRITE_SECONDS), Clock(HEARTBEAT_SECONDS)
        while (messages := self.child.messages(timeout_seconds=0.5)) is not None:
            for message in messages:
                self._hear(message)
            if write.is_due():
                self._keep(renew=beat.is_due())
                self._end_if_hung()
            if messages:
                self.alive_at = time.monotonic()
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
            if self.stop_reason != "cancel":
                self._heed(self.lease.asked_to_stop())
        except (OperationalError, InterfaceError):
            logger.warning("the database does not answer; trying again", exc_info=True)
            close_old_connections()
            if time.monotonic() > self.lease_good_until:
                raise LeaseLost from None
        if not self.stop_reason and self.stopping.is_set():
            self._stop_child("shutdown", SHUTDOWN_PATIENCE_SECONDS, self.child.stop)

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

    def _end_if_hung(self) -> None:
        """Kill a child that shows no sign of life: its lease is renewed here, so nobody else would find it."""
        computed = self.child.computed_seconds()
        if self.stop_reason or computed is None:
            return
        if computed - self.computed_then > NEXT_TO_NOTHING_SECONDS:
            self.alive_at, self.computed_then = time.monotonic(), computed
        elif time.monotonic() - self.alive_at > HUNG_SECONDS:
            self._stop_child("hung", 0.0, self.child.stop)

    def _heed(self, asked: str) -> None:
        """Do what the person asked; who asks to pause may still ask to cancel."""
        if asked == "cancel":
            self._stop_child("cancel", CANCEL_PATIENCE_SECONDS, self.child.stop)
        elif asked == "pause" and not self.stop_reason:
            self._stop_child("pause", PAUSE_PATIENCE_SECONDS, self.child.pause)

    def _stop_child(self, reason: str, patience_seconds: float, ask: Callable[[], None]) -> None:
        """Ask the child to stop, and kill it if it does not."""
        self.stop_reason = reason
        self.kill_at = time.monotonic() + patience_seconds
        ask()

    def _succeeded(self) -> bool:
        return self.outcome is not None and bool(self.outcome.get("succeeded"))

    def _end(self) -> None:
        """Write how the attempt ended; a success was written by the child together with its answers."""
        code, outcome = self.child.process.returncode, self.outcome or {}
        if self._succeeded() or outcome.get("lost"):
            return
        if self.stop_reason == "cancel" or (outcome.get("cancelled") and self.lease.asked_to_stop() == "cancel"):
            self.lease.cancel()
        elif "failed" in outcome:
            self.lease.fail(str(outcome["failed"]), bool(outcome.get("retryable")))
        elif "out_of_memory" in outcome:
            self._with_less_memory(str(outcome["out_of_memory"]))
        elif self.stop_reason == "pause":
            self.lease.pause()
        elif self.stop_reason == "hung":
            self._again("its process neither said nor computed anything any more")
        elif "again" in outcome:
            self._again(str(outcome["again"]))
        elif "not_yet" in outcome:
            self._give_back(str(outcome["not_yet"]))
        elif self.stop_reason == "shutdown":
            self._give_back("the worker was told to stop")
        elif self.child.was_killed_for_memory():
            self._with_less_memory("The machine")
        elif code == -signal.SIGKILL:
            self._again("its process was killed")
        else:
            self.lease.fail(f"The run's process ended unexpectedly ({_how(code)}). Its last words: "
                            f"{self.child.last_words() or 'none'}. Start the run again; if it ends the same way, the "
                            f"file {self.child.log} on the worker says more.", retryable=True)

    def _with_less_memory(self, where: str) -> None:
        """Let the run go on with half as many images held at once, or fail it when that has not helped.

        A step still learns from its whole batch, a piece after the other, so the method means the same.
        """
        halvings = Run.objects.only("memory_halvings").get(pk=self.lease.run_id).memory_halvings
        if halvings >= MAX_HALVINGS:
            self.lease.fail(OUT_OF_MEMORY.format(where=where, share=2**MAX_HALVINGS))
            return
        self.lease.halve_memory(f"{where.lower().replace('gpu', 'GPU')} ran out of memory; it goes on with "
                                f"1/{2 ** (halvings + 1)} of the images held at once. Each step still learns from its "
                                "whole batch, a piece after the other: slower, and the answer means the same")
        send("execute_run", self.lease.run_id, "gpu")

    def _give_back(self, reason: str) -> None:
        """Put the run back on the queue for a reason that is none of its own: it costs no attempt."""
        self.lease.release(reason, count_attempt=False)
        send("execute_run", self.lease.run_id, "gpu")

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
