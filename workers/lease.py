"""The right to write a run's row: taken for 45 s, renewed by heartbeat, checked by every write."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Concat, Now
from django.utils import timezone

from webapp.notices import outbox
from webapp.runs import lane
from webapp.runs.models import LEASE, Run


class LeaseLost(Exception):
    """Somebody else has the run now, or it has ended: stop at once and write nothing."""


def log_line(text: str, at: datetime | None = None) -> str:
    """Return one line of a run's log."""
    return f"{(at or timezone.now()):%Y-%m-%d %H:%M:%S} {text}\n"


@dataclass(frozen=True)
class Lease:
    """One worker's hold on one run."""

    run_id: int
    token: str

    @classmethod
    def claim(cls, run_id: int) -> Lease | None:
        """Take a queued run; return None when it is not to be had."""
        token = Run.objects.claim(run_id, owner=f"{socket.gethostname()}:{os.getpid()}")
        return cls(run_id, token) if token else None

    @classmethod
    def claim_first(cls, of_lane: bool = False) -> Lease | None:
        """Take the run that is first in line, or the next one where somebody else was quicker; None when none waits.

        Args:
            of_lane: only of those that the quick lane is offered.
        """
        waiting = lane.offered() if of_lane else Run.objects.queued()
        for run_id in waiting.values_list("pk", flat=True):
            if lease := cls.claim(run_id):
                return lease
        return None

    def write(self, *log: str, **fields: object) -> None:
        """Append lines to the row's log, set its fields, and renew the lease.

        Raises:
            LeaseLost: the run is no longer ours.
        """
        if log:
            now = timezone.now()
            fields["log"] = Concat(F("log"), Value("".join(log_line(line, now) for line in log)))
        self._update(lease_expires_at=Now() + LEASE, heartbeat_at=Now(), **fields)

    def is_held(self) -> bool:
        """Tell whether the run is still ours."""
        return Run.objects.fenced(self.run_id, self.token).exists()

    def asked_to_stop(self) -> Literal["cancel", "pause", ""]:
        """Return what the person asked of the run, if anything: to end, or to stop for now."""
        asked = Run.objects.fenced(self.run_id, self.token).values_list("cancel_requested", "pause_requested").first()
        cancel, pause = asked or (False, False)
        return "cancel" if cancel else "pause" if pause else ""

    def succeed(self, result: dict[str, object], total: int) -> None:
        """End the run as succeeded; its answers are written in the same transaction."""
        self._end_and_tell(Run.Status.SUCCEEDED, "succeeded", result=result, step=total, error="", retryable=False)

    def fail(self, error: str, retryable: bool = False) -> None:
        """End the run as failed, in words for a person."""
        self._end_and_tell(Run.Status.FAILED, f"failed: {error}", error=error, retryable=retryable)

    def halve_memory(self, reason: str) -> None:
        """Put the run back on the queue, to go on with half as many images held at once; it costs no attempt."""
        self._give_up(Run.Status.QUEUED, f"back to the queue: {reason}", queued_at=timezone.now(), sent_at=None,
                      attempt=F("attempt") - 1, memory_halvings=F("memory_halvings") + 1)

    def pause(self) -> None:
        """Put the run aside with its checkpoint until somebody resumes it; a pause costs no attempt."""
        self._give_up(Run.Status.PAUSED, "paused", attempt=F("attempt") - 1, pause_requested=False)

    def cancel(self) -> None:
        """End the run as cancelled."""
        self._end(Run.Status.CANCELLED, "cancelled")

    def release(self, reason: str, count_attempt: bool) -> None:
        """Put the run back on the queue with its checkpoint.

        Args:
            reason: for the log.
            count_attempt: False when the run is not to blame (the worker was told to stop).
        """
        extra: dict[str, object] = {} if count_attempt else {"attempt": F("attempt") - 1}
        self._give_up(Run.Status.QUEUED, f"back to the queue: {reason}", queued_at=timezone.now(), sent_at=None,
                      **extra)

    @contextmanager
    def fence(self) -> Iterator[Run]:
        """Lock the row for one transaction: what is written inside is written by the holder or not at all."""
        with transaction.atomic():
            run = Run.objects.fenced(self.run_id, self.token).select_for_update().first()
            if run is None:
                raise LeaseLost
            yield run

    def _give_up(self, status: Run.Status, log: str, **fields: object) -> None:
        """Write a state without a lease that is not the end; a run that is to be cancelled by now ends instead."""
        going_on = Run.objects.fenced(self.run_id, self.token).filter(cancel_requested=False)
        if not going_on.update(status=status, stage="", lease_owner="", lease_expires_at=None,
                               lease_token="",  # nosec B106 # "" is no token at all
                               images_per_second=None, seconds_left=None,
                               log=Concat(F("log"), Value(log_line(log))), **fields):
            self.cancel()

    def _end_and_tell(self, status: Run.Status, log: str, **fields: object) -> None:
        """Write a terminal state, and with it whom to tell."""
        with transaction.atomic():
            self._end(status, log, **fields)
            outbox.note_end(self.run_id)

    def _end(self, status: Run.Status, log: str, **fields: object) -> None:
        """Write a terminal state."""
        now = timezone.now()
        self._update(status=status, finished_at=now, stage="", seconds_left=None, pause_requested=False,
                     lease_token="", lease_owner="", lease_expires_at=None,  # nosec B106
                     log=Concat(F("log"), Value(log_line(log, now))), **fields)

    def _update(self, **fields: object) -> None:
        """Make one fenced update."""
        if not Run.objects.fenced(self.run_id, self.token).update(**fields):
            raise LeaseLost
