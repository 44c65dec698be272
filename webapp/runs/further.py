"""Further collections: what a run adapts to beside its own, and answers nothing of.

A picture counts once, however many of the collections have it. One that the run's own collection has is for that one
to bring, hold out or set aside; one that any of the collections holds out is adapted to in none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.db.models import Q, QuerySet

from core.errors import DataError
from webapp.collections.models import Collection, Image
from webapp.runs.models import Run
from webapp.sharing.access import collections_of


class Named(NamedTuple):
    """The further collections of a run as one person may know them.

    Attributes:
        seen: those that they may look at.
        unseen: how many others there are.
    """

    seen: list[Collection]
    unseen: int


def brought(own: Collection, further: Sequence[Collection]) -> QuerySet[Image]:
    """Return the images that further collections add to a run on `own`; copies among themselves still in."""
    kept = Image.objects.filter(Q(collection=own) | Q(collection__in=further, held_out=True))
    return Image.objects.filter(collection__in=further, held_out=False, set_aside=False).exclude(
        sha256__in=kept.values("sha256"))


def count_brought(own: Collection, further: Sequence[Collection]) -> int:
    """Return how many different pictures further collections add."""
    return brought(own, further).order_by().values("sha256").distinct().count() if further else 0


def held_out_by_further(run: Run) -> set[str]:
    """Return the digests of the pictures that a run's further collections hold out."""
    if not run.also:
        return set()
    return set(Image.objects.filter(collection__in=run.also, held_out=True).values_list("sha256", flat=True))


def further_collections(run: Run, among: QuerySet[Collection] | None = None) -> list[Collection]:
    """Return the further collections of a run, in their order.

    Args:
        run: its row.
        among: the collections that there are for whoever asks; all that are not in the trash, if not given.

    Raises:
        DataError: when one is not there any more.
    """
    there = Collection.objects.filter(trashed_at=None) if among is None else among
    found = {one.pk: one for one in there.filter(pk__in=run.also)} if run.also else {}
    missing = [pk for pk in run.also if pk not in found]
    if missing:
        raise DataError("also", f"collection {missing[0]}, one of those that this run also adapts to, is not there any "
                                "more; restore it from the trash, or change the settings and start a run without it")
    return [found[pk] for pk in run.also]


def named(run: Run, user: AbstractBaseUser | AnonymousUser) -> Named:
    """Return the further collections of a run as `user` may know them."""
    seen = list(collections_of(user).filter(pk__in=run.also).order_by("name")) if run.also else []
    return Named(seen=seen, unseen=len(run.also) - len(seen))
