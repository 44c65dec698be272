"""Whether anyone is there to work: each worker node leaves a sign of life, pages read the newest."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone

from webapp.runs.models import WorkerBeat

BEAT_EVERY = timedelta(seconds=10)
PRESENT = timedelta(seconds=45)
"""A node that has not been heard of for this long is not there."""
FORGOTTEN = timedelta(days=1)


def beat(node: str, queue: str) -> None:
    """Note that `node` is there and takes work from `queue`."""
    WorkerBeat.objects.update_or_create(node=node, defaults={"queue": queue, "seen_at": timezone.now()})


def leave(node: str) -> None:
    """Note that `node` has stopped, and forget nodes that nobody has heard of for a day."""
    WorkerBeat.objects.filter(node=node).delete()
    WorkerBeat.objects.filter(seen_at__lt=timezone.now() - FORGOTTEN).delete()


def last_seen(queue: str = "gpu") -> datetime | None:
    """Return when a worker of `queue` was last heard of."""
    return WorkerBeat.objects.filter(queue=queue).order_by("-seen_at").values_list("seen_at", flat=True).first()


def present(queue: str = "gpu") -> int:
    """Return how many workers of `queue` are there now."""
    return WorkerBeat.objects.filter(queue=queue, seen_at__gt=timezone.now() - PRESENT).count()


def is_present(queue: str = "gpu") -> bool:
    """Tell whether a worker of `queue` is there now."""
    seen = last_seen(queue)
    return seen is not None and seen > timezone.now() - PRESENT
