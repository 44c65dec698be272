"""The held-out part: images that adaptation never sees, though they are answered all the same."""

from __future__ import annotations

import random

from django.db import transaction

from core.errors import ConfigError, DataError
from webapp.collections.models import Collection, Image
from webapp.collections.tables import PATH_COLUMNS, Paths, column, read_rows

FILE = "held-out list"
MAX_PERCENT = 90


def hold_out_share(collection: Collection, percent: int, seed: int) -> int:
    """Hold out a share drawn with a seed, in place of an earlier part; return how many images that is.

    Exact duplicates go together: a picture held out must not be seen through its twin.

    Raises:
        ConfigError: for a share that leaves too little.
    """
    if not 1 <= percent <= MAX_PERCENT:
        raise ConfigError("percent", f"{percent} %; choose 1 to {MAX_PERCENT} %")
    groups: dict[int, list[int]] = {}
    for pk, first in collection.images.order_by("number").values_list("pk", "duplicate_of"):
        groups.setdefault(first or pk, []).append(pk)
    wanted = round(sum(map(len, groups.values())) * percent / 100)
    order = list(groups.values())
    random.Random(seed).shuffle(order)
    chosen: list[int] = []
    for group in order:
        if len(chosen) + len(group) <= wanted:
            chosen += group
    return _replace(collection, chosen)


def hold_out_listed(collection: Collection, content: bytes, file: str = FILE) -> int:
    """Hold out the images that a file lists (a CSV with a path column, or one path a line); return how many.

    Raises:
        DataError: naming the lines that are no image of the collection.
    """
    rows = read_rows(content, file)
    place = column(rows[0][1], PATH_COLUMNS)
    paths = Paths(collection)
    chosen: set[int] = set()
    unknown = []
    for line, row in rows[1:] if place is not None else rows:
        path = row[place or 0] if len(row) > (place or 0) else ""
        found = paths.find(path)
        chosen.update(found)
        if not found:
            unknown.append(f"line {line} ({path})")
    if unknown:
        more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
        raise DataError(file, f"not an image of this collection: {', '.join(unknown[:3])}{more}")
    if len(chosen) >= collection.images.count():
        raise DataError(file, "it lists every image: nothing is left to adapt to")
    return _replace(collection, list(chosen))


def hold_out_nothing(collection: Collection) -> None:
    """Give every image back to adaptation."""
    _replace(collection, [])


def _replace(collection: Collection, chosen: list[int]) -> int:
    with transaction.atomic():
        Collection.objects.select_for_update(no_key=True).get(pk=collection.pk)  # of two at once, the later one stands
        collection.images.filter(held_out=True).update(held_out=False)
        for start in range(0, len(chosen), 1000):
            Image.objects.filter(pk__in=chosen[start:start + 1000]).update(held_out=True)
    return len(chosen)
