"""The right to write a run's row: taken for 45 s, renewed by heartbeat, checked by every write."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Concat
from django.utils import timezone

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

    def write(self, *log: str, **fields: object) -> None:
        """Append lines to the row's log, set its fields, and renew the lease.

        Raises:
            LeaseLost: the run is no longer ours.
        """
        now = timezone.now()
        if log:
            fields["log"] = Concat(F("log"), Value("".join(log_line(line, now) for line in log)))
        self._update(lease_expires_at=now + LEASE, heartbeat_at=now, **fields)

    def is_held(self) -> bool:
        """Tell whether the run is still ours."""
        return Run.objects.fenced(self.run_id, self.token).exists()

    def cancel_requested(self) -> bool:
        """Tell whether the person asked to stop."""
        return Run.objects.fenced(self.run_id, self.token).filter(cancel_requested=True).exists()

    def succeed(self, result: dict[str, object], total: int) -> None:
        """End the run as succeeded; its answers are written in the same transaction."""
        self._end(Run.Status.SUCCEEDED, "succeeded", result=result, step=total, error="", retryable=False)

    def fail(self, error: str, retryable: bool = False) -> None:
        """End the run as failed, in words for a person."""
        self._end(Run.Status.FAILED, f"failed: {error}", error=error, retryable=retryable)

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
        self._update(status=Run.Status.QUEUED, stage="", lease_owner="", lease_token="", lease_expires_at=None,
                     queued_at=timezone.now(), sent_at=None, images_per_second=None, seconds_left=None,
                     log=Concat(F("log"), Value(log_line(f"back to the queue: {reason}"))), **extra)

    @contextmanager
    def fence(self) -> Iterator[Run]:
        """Lock the row for one transaction: what is written inside is written by the holder or not at all."""
        with transaction.atomic():
            run = Run.objects.fenced(self.run_id, self.token).select_for_update().first()
            if run is None:
                raise LeaseLost
            yield run

    def _end(self, status: Run.Status, log: str, **fields: object) -> None:
        """Write a terminal state."""
        now = timezone.now()
        self._update(status=status, finished_at=now, stage="", seconds_left=None, lease_token="", lease_owner="",
                     lease_expires_at=None, log=Concat(F("log"), Value(log_line(log, now))), **fields)

    def _update(self, **fields: object) -> None:
        """Make one fenced update."""
        if not Run.objects.fenced(self.run_id, self.token).update(**fields):
            raise LeaseLost
