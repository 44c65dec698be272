"""What else a run uses: further collections, one to warm up on or to replay, an earlier run to begin with.

What is deleted meanwhile is missed, not left out: without it, it would be another run.

Further collections are adapted to beside the run's own, and nothing of them is answered. A picture counts once, however
many of the collections have it. One that the run's own collection has is for that one to bring, hold out or set aside;
one that any of the collections holds out is adapted to in none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.db.models import Q, QuerySet

from core.catalog import METHODS
from core.errors import ConfigError, DataError
from core.settings import describe
from webapp.collections.models import Collection, Image
from webapp.runs.models import Run
from webapp.sharing.access import collections_of

USES = {"warm_up": "warms up on", "replay": "replays"}
"""Field of a run -> what it does with the collection."""
OTHER_COLLECTIONS = {"warm_up": "warm_up_epochs", "replay": "replay_share"}
"""Field of a run -> the setting that methods have which make use of it."""


class Named(NamedTuple):
    """Collections that a run uses in one way, as one person may know them.

    Attributes:
        use: what it does with them, as its page says it.
        seen: those that they may look at.
        unseen: how many others there are, or were.
    """

    use: str
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


def other_collection(run: Run, field: Literal["warm_up", "replay"]) -> Collection | None:
    """Return the collection that a run warms up on, or replays; None where it does not.

    Raises:
        DataError: when it is not there any more.
    """
    pk = run.warm_up_id if field == "warm_up" else run.replay_id
    if pk is None:
        return None
    found = Collection.objects.filter(trashed_at=None, pk=pk).first()
    if found is None:
        raise DataError(field, f"collection {pk}, which this run {USES[field]}, is not there any more; restore it from "
                               "the trash, or change the settings and start a run without it")
    return found


def earlier_run(run: Run) -> Run | None:
    """Return the run with whose encoder this one begins; None where it begins with published weights.

    Raises:
        DataError: when it is not there any more.
    """
    if run.start_from_id is None:
        return None
    found = Run.objects.select_related("collection").filter(pk=run.start_from_id).first()
    if found is None:
        raise DataError("start_from", f"run {run.start_from_id}, with which this one begins, is not there any more; "
                                      "restore it from the trash, or change the settings and begin with another, or "
                                      "with the published weights")
    return found


def check_other(field: str, method: str, other: Collection) -> None:
    """Refuse a warm-up or a replay that the method has not, or that has nothing to show."""
    if OTHER_COLLECTIONS[field] not in describe(METHODS[method].settings):
        raise ConfigError(field, f"{METHODS[method].title} has no {field.replace('_', '-')}; leave it out")
    if not other.images.exists():
        raise DataError(field, f"{other.name!r} has no images; choose another collection, or none")


def check_readable(run: Run, readable: QuerySet[Collection]) -> None:
    """Refuse to use again what a person may not read by now; of what collection it is, they are not told.

    Raises:
        DataError: where a collection, or the run to begin with, is none of `readable`, or gone.
    """
    earlier = earlier_run(run)
    used = {"warm_up": run.warm_up_id, "replay": run.replay_id,
            "start_from": earlier.collection_id if earlier else None}
    for field, pk in used.items():
        if pk not in (None, run.collection_id) and not readable.filter(pk=pk).exists():
            raise DataError(field, "what this run used is not there any more; change the settings and start a run "
                                   "without it")
    further_collections(run, readable)


def named(run: Run, user: AbstractBaseUser | AnonymousUser) -> list[Named]:
    """Return the other collections that a run uses as `user` may know them, by what it does with them."""
    used = {"also adapted to": run.also, "warmed up on": [run.warm_up_id], "replays": [run.replay_id]}
    found = []
    for use, keys in used.items():
        if wanted := [pk for pk in keys if pk is not None]:
            seen = list(collections_of(user).filter(pk__in=wanted).order_by("name"))
            found.append(Named(use=use, seen=seen, unseen=len(wanted) - len(seen)))
    return found
