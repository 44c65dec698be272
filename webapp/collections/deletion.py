"""Deleting a collection: into the trash at once, out of it for thirty days, then for good.

In the trash it is nowhere (`webapp.sharing.access`): no page, picture, download or program reaches it, its runs
are paused, and what arrives for it is refused.

Whose time in the trash is over cannot be restored any more, so its rows may go a slice at a time: while one
transaction writes, SQLite lets nobody else. The row of the collection goes last, its files after that.
"""

from __future__ import annotations

from contextlib import suppress

from django.db import transaction
from django.db.models import Model, QuerySet
from django.utils import timezone

from webapp.collections import storage
from webapp.collections.models import TRASH_LIFETIME, Collection
from webapp.runs import deletion as runs
from webapp.runs import room
from webapp.runs.models import LIVE, Prediction, Run

TRASHED_AT_ONCE = 50
ROWS_A_SLICE = 2_000
"""A small part of a second: 100,000 images with three runs, 400,000 rows and more, took some 22 s at once."""
SLICES_AT_ONCE = 10
"""Who deletes a large collection waits for so many; the rest is left to the reaper."""


def trash_collection(collection: Collection) -> None:
    """Put a collection into the trash; its runs pause, so that restoring it loses nothing."""
    with transaction.atomic():
        collection.trashed_at = timezone.now()
        collection.save(update_fields=["trashed_at"])
        for run in collection.runs.filter(status__in=[Run.Status.QUEUED, Run.Status.RUNNING]):
            run.request_pause()


def restore_collection(collection: Collection) -> bool:
    """Take a collection out of the trash, with all it had; return whether its time was not over yet."""
    there = Collection.objects.filter(pk=collection.pk, trashed_at__gt=timezone.now() - TRASH_LIFETIME)
    if not there.update(trashed_at=None):
        return False
    collection.trashed_at = None
    return True


def delete_collection(collection: Collection) -> bool:
    """Delete a collection with everything that hangs on it, for good; return whether nobody restored it meanwhile.

    The row says first that its time is over. Where much hangs on it, or a worker still holds one of its runs,
    `empty_trash` does the rest.
    """
    as_seen = Collection.objects.filter(pk=collection.pk, trashed_at=collection.trashed_at)
    if not as_seen.update(trashed_at=timezone.now() - TRASH_LIFETIME):
        return False
    _remove(collection)
    return True


def finish_deletions() -> None:
    """Remove the files of collections whose deletion was cut off between its commit and the last of them."""
    noted = storage.noted_deletions()
    there = set(Collection.objects.filter(pk__in=noted).values_list("pk", flat=True))
    for collection_id in noted.keys() - there:
        storage.forget_collection(collection_id, **noted[collection_id])


def empty_trash() -> int:
    """Delete for good what has lain in the trash for thirty days; return how many collections are gone.

    What is left is measured: both come every ten seconds, by the reaper's word.
    """
    old = Collection.objects.filter(trashed_at__lte=timezone.now() - TRASH_LIFETIME).order_by("trashed_at")
    gone = sum(_remove(collection) for collection in list(old[:TRASHED_AT_ONCE]))
    runs.empty_trash()
    room.measure()
    return gone


def _remove(collection: Collection) -> bool:
    """Remove a collection whose time is over, or as much of it as may go at once; return whether it is gone."""
    for run in Run.objects.filter(collection=collection, status__in=LIVE):
        run.request_cancel()
    if Run.objects.filter(collection=collection, status=Run.Status.RUNNING).exists():
        return False  # until its worker has stopped, which would write its checkpoint back
    earlier = storage.noted_deletions().get(collection.pk, {}).get("upload_ids", ())  # whose rows may be gone by now
    upload_ids = {*earlier, *map(str, collection.uploads.values_list("pk", flat=True))}
    run_ids = list(Run.everything.filter(collection=collection).values_list("pk", flat=True))
    with suppress(OSError):  # a full disk must not keep anybody from making room
        storage.note_deletion(collection.pk, upload_ids, run_ids)
    if not _removed_in_slices(Prediction.objects.filter(run__collection=collection), collection.images.all(),
                              collection.refusals.all(), collection.uploads.all()):
        return False
    collection_id = collection.pk
    with transaction.atomic():
        collection.delete()
        transaction.on_commit(lambda: storage.forget_collection(collection_id, upload_ids, run_ids))
    return True


def _removed_in_slices(*tables: QuerySet[Model]) -> bool:
    """Delete these rows, each slice in a transaction of its own; return whether all are gone."""
    slices = 0
    for rows in tables:
        while some := list(rows.order_by().values_list("pk", flat=True)[:ROWS_A_SLICE]):
            if slices == SLICES_AT_ONCE:
                return False
            rows.model._default_manager.filter(pk__in=some).delete()
            slices += 1
    return True
