"""A collection's pictures, page by page, and what is still arriving."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from html import escape
from typing import Any

from django.db.models import Count, Q, QuerySet, Sum
from django.utils import timezone

from core.data import looks
from webapp.collections.models import Collection, Image, Upload
from webapp.config.prepared import prepared
from webapp.runs.presence import is_present

PAGE = 120
TINY_PX = 20
SHOWN = ("pk", "number", "path", "width_px", "height_px", "duplicate_of_id", "set_aside", "held_out")
STALLED_AFTER = timedelta(seconds=45)
REFUSALS_SHOWN = 200
UNFINISHED_SHOWN = 20
FLAGS = {
    "dark": Q(lightest__lt=looks.DARK_BELOW), "light": Q(darkest__gt=looks.LIGHT_ABOVE),
    "empty": Q(information_bits__lt=looks.LITTLE_BELOW_BITS),
    "blurred": Q(sharpness__lt=looks.BLURRED_BELOW, lightest__gte=looks.DARK_BELOW, darkest__lte=looks.LIGHT_ABOVE),
}
"""What a person may want to look at before a run; hints, never verdicts. In the dark nothing has sharp edges."""
KINDS = {"all": Q(), "duplicates": Q(duplicate_of__isnull=False), "held-out": Q(held_out=True),
         "set-aside": Q(set_aside=True), **FLAGS}
TITLES = {"dark": "Dark", "light": "Light", "blurred": "Blurred", "empty": "Little to see", "set-aside": "Set aside"}


def page(collection: Collection, after: int = -1, kind: str = "all", words: str = "") -> list[Any]:
    """Return `SHOWN` of the images after number `after`: a keyset page, as quick at the end as at the start."""
    if not words:
        return _after(collection.pk, after, kind=kind, count=PAGE)
    return list(_shown(collection.pk, kind).filter(number__gt=after, path__icontains=words)[:PAGE])


@prepared
def _after(collection: int, after: int, /, *, kind: str, count: int) -> QuerySet[Image, Any]:
    return _shown(collection, kind).filter(number__gt=after)[:count]


def _shown(collection: int, kind: str) -> QuerySet[Image, Any]:
    images = Image.objects.filter(KINDS[kind], collection=collection).order_by("number")
    return images.values_list(*SHOWN, named=True)


def draw(images: Iterable[Any], place: str, thumbnails: str) -> str:
    """Return the images of a page as HTML, without a template: there are many, each with little to it.

    Every text that comes from people is escaped here; the template takes them as they are.

    Args:
        images: what `page` returned.
        place: what stands before an image's number in the address of its page.
        thumbnails: what stands before its id in that of its thumbnail.
    """
    return "\n".join(_draw_one(image, place, thumbnails) for image in images)


def _draw_one(image: Any, place: str, thumbnails: str) -> str:
    path = escape(image.path)
    tiny = ' class="tiny"' if max(image.width_px, image.height_px) <= TINY_PX else ""
    aside = ' class="aside"' if image.set_aside else ""
    mark = ("duplicate" if image.duplicate_of_id else "set aside" if image.set_aside
            else "held out" if image.held_out else "")
    return (f'<figure{aside}><a href="{place}{image.number}/">'
            f'<img src="{thumbnails}{image.pk}" alt="{path}" loading="lazy"{tiny}></a><figcaption>{path}</figcaption>'
            + (f'<span class="mark">{mark}</span>' if mark else "") + "</figure>")


def counts(collection: Collection) -> list[tuple[str, str, int]]:
    """Return (kind, title, images) of each flag that some image has, and of what is set aside."""
    asked = {name.replace("-", "_"): Count("pk", filter=KINDS[name]) for name in TITLES}
    found = collection.images.aggregate(**asked)
    return [(name, title, found[name.replace("-", "_")]) for name, title in TITLES.items()
            if found[name.replace("-", "_")]]


def samples(collection: Collection, count: int = 24) -> list[Image]:
    """Return a few images from all over the collection, always the same ones."""
    total = collection.images.count()
    chosen = {place * total // count for place in range(count)}
    return list(collection.images.filter(number__in=chosen).order_by("number"))


@dataclass(frozen=True, kw_only=True)
class Arrivals:
    """What is on its way into a collection.

    Attributes:
        images, duplicates, refused, left_out: how many there are; left out are hidden and system files.
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
    left_out: int
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
    refused = collection.refusals.filter(left_out=False)
    sums = reading.aggregate(read=Sum("members_read"), total=Sum("members_total"))
    return Arrivals(
        images=collection.images.count(), duplicates=collection.images.filter(KINDS["duplicates"]).count(),
        refused=refused.count(), refusals=list(refused.order_by("pk")[:REFUSALS_SHOWN]),
        left_out=collection.refusals.filter(left_out=True).count(),
        reading=count, members_read=sums["read"] or 0, members_total=sums["total"] or 0,
        unfinished=list(stalled[:UNFINISHED_SHOWN]), unfinished_count=stalled.count(),
        is_receiving=receiving.filter(updated_at__gte=now - STALLED_AFTER).exists(),
        message=reading.exclude(message="").values_list("message", flat=True).first() or "",
        no_worker=bool(count) and not is_present("cpu"))
