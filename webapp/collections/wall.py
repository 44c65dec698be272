"""A collection's pictures, page by page, and what is still arriving."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Q, QuerySet, Sum
from django.utils import timezone

from webapp.collections.models import Collection, Image, Upload
from webapp.runs.presence import is_present

PAGE = 120
STALLED_AFTER = timedelta(seconds=45)
REFUSALS_SHOWN = 200
UNFINISHED_SHOWN = 20
TINY_PX = 96
KINDS = {"all": Q(), "duplicates": Q(duplicate_of__isnull=False), "held-out": Q(held_out=True)}


def page(collection: Collection, after: int = -1, kind: str = "all", words: str = "") -> list[Image]:
    """Return the images after number `after`: a keyset page, as quick at the end as at the start."""
    found: QuerySet[Image] = collection.images.filter(KINDS[kind], number__gt=after)
    if words:
        found = found.filter(path__icontains=words)
    return list(found.order_by("number")[:PAGE])


def samples(collection: Collection, count: int = 24) -> list[Image]:
    """Return a few images from all over the collection, always the same ones."""
    total = collection.images.count()
    chosen = {place * total // count for place in range(count)}
    return list(collection.images.filter(number__in=chosen).order_by("number"))


@dataclass(frozen=True, kw_only=True)
class Arrivals:
    """What is on its way into a collection.

    Attributes:
        images, duplicates, refused: how many there are.
        reading: uploads that wait for the worker or are being read.
        members_read, members_total: files of those uploads; 0 where nobody knows.
        unfinished: uploads of which nothing has come for a while: their tab was closed.
        is_receiving: bytes are arriving now.
        message: what the reader says (a full disk).
        no_worker: something waits, and nobody is there to read it.
    """

    images: int
    duplicates: int
    refused: int
    refusals: list[object]
    reading: int
    members_read: int
    members_total: int
    unfinished: list[Upload]
    unfinished_count: int
    is_receiving: bool
    message: str
    no_worker: bool

    @property
    def is_busy(self) -> bool:
        """Tell whether the page should keep asking."""
        return bool(self.reading) or self.is_receiving

    @property
    def unfinished_more(self) -> int:
        """Return how many unfinished uploads are not shown."""
        return self.unfinished_count - len(self.unfinished)


def arrivals(collection: Collection) -> Arrivals:
    """Look at what is on its way."""
    now = timezone.now()
    receiving = collection.uploads.filter(status=Upload.Status.RECEIVING)
    stalled = receiving.filter(updated_at__lt=now - STALLED_AFTER).order_by("-size_bytes")
    reading = collection.uploads.filter(status__in=[Upload.Status.RECEIVED, Upload.Status.READING])
    count = reading.count()
    sums = reading.aggregate(read=Sum("members_read"), total=Sum("members_total"))
    return Arrivals(
        images=collection.images.count(), duplicates=collection.images.filter(KINDS["duplicates"]).count(),
        refused=collection.refusals.count(), refusals=list(collection.refusals.order_by("pk")[:REFUSALS_SHOWN]),
        reading=count, members_read=sums["read"] or 0, members_total=sums["total"] or 0,
        unfinished=list(stalled[:UNFINISHED_SHOWN]), unfinished_count=stalled.count(),
        is_receiving=receiving.filter(updated_at__gte=now - STALLED_AFTER).exists(),
        message=reading.exclude(message="").values_list("message", flat=True).first() or "",
        no_worker=bool(count) and not is_present("cpu"))
