"""The questions asked of the table of runs, and the only writes a worker may make."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

if TYPE_CHECKING:
    from webapp.runs.models import Run  # noqa: F401 # the type below names it in quotes

LEASE = timedelta(seconds=45)
"""A worker that has not been heard of for this long has lost its run; heartbeats come every 10 s."""
SILENCE = timedelta(seconds=15)
"""A run that is to be cancelled does not wait for its lease: a worker silent for this long will not end it."""


class RunQuerySet(models.QuerySet["Run"]):
    """The questions asked of the table, and the only writes a worker may make.

    Leases are written and judged by the database's clock: those of the machines may differ by more than a lease.
    """

    def queued(self) -> RunQuerySet:
        """Return runs waiting for a worker, first in line first: by priority, then by when they came."""
        return self.filter(status="queued").order_by("-priority", "queued_at", "pk")

    def stale(self) -> RunQuerySet:
        """Return runs that are to go on and whose worker has not been heard of."""
        return self.filter(status="running", cancel_requested=False, lease_expires_at__lt=Now())

    def end_abandoned(self) -> int:
        """Cancel the runs that are to be cancelled and that no worker has, or a silent one; return how many.

        Should the worker only be slow: its writes are fenced, and it finds its lease gone.
        """
        silent = Q(heartbeat_at__lt=Now() - SILENCE) | Q(lease_expires_at__lt=Now())
        abandoned = Q(status__in=["queued", "paused"]) | Q(silent, status="running")
        return self.filter(abandoned, cancel_requested=True).update(  # nosec B106
            status="cancelled", finished_at=Now(), stage="", seconds_left=None, images_per_second=None,
            pause_requested=False, lease_owner="", lease_token="", lease_expires_at=None)

    def claim(self, pk: int, owner: str) -> str | None:
        """Take the lease of a queued run; return the fencing token, or None when it is not to be had."""
        token = secrets.token_hex(16)
        taken = self.filter(pk=pk, status="queued", cancel_requested=False).update(
            status="running", lease_owner=owner, lease_token=token, lease_expires_at=Now() + LEASE,
            heartbeat_at=Now(), attempt=F("attempt") + 1, started_at=Now(), stage="starting")
        return token if taken else None

    def fenced(self, pk: int, token: str) -> RunQuerySet:
        """Return the run if `token` still holds its lease: every worker write goes through this filter."""
        return self.filter(pk=pk, status="running", lease_token=token)


_Rows = models.Manager.from_queryset(RunQuerySet)


class RunManager(_Rows):
    """Every run that is not in the trash: what is there is nowhere, for who does not ask `Run.everything`.

    It stands behind `Run.objects` and behind relations such as `collection.runs`. From a row to a run it
    points at, like `run.baseline`, no manager stands in between.
    """

    def get_queryset(self) -> RunQuerySet:
        """Leave out what is in the trash."""
        return super().get_queryset().filter(trashed_at=None)
