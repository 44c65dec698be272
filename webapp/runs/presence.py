"""Whether anyone is there to work: each worker node leaves a sign of life, pages read the newest."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone

from webapp.runs.models import WorkerBeat

BEAT_EVERY = timedelta(seconds=10)
PRESENT = timedelta(seconds=45)
"""A node that has not been heard of for this long is not there."""
FORGOTTEN = timedelta(days=1)


def beat(node: str, queue: str, on_gpu: bool = False) -> None:
    """Note that `node` is there, takes work from `queue`, and does it on a GPU or not."""
    WorkerBeat.objects.update_or_create(
        node=node, defaults={"queue": queue, "on_gpu": on_gpu, "seen_at": timezone.now()})


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


def are_on_gpu() -> bool | None:
    """Tell whether runs are done on a GPU here; None where no worker is there, or some have one and some have none."""
    there = WorkerBeat.objects.filter(queue="gpu", seen_at__gt=timezone.now() - PRESENT)
    known = set(there.values_list("on_gpu", flat=True))
    return known.pop() if len(known) == 1 else None
