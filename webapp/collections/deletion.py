"""Deleting a collection: into the trash at once, out of it for thirty days, then for good.

In the trash it is nowhere (`webapp.sharing.access`): no page, picture, download or program reaches it,
its runs have stopped, and what arrives for it is refused.
"""

from __future__ import annotations

from contextlib import suppress

from django.db import transaction
from django.utils import timezone

from webapp.collections import storage
from webapp.collections.models import Collection
from webapp.runs import deletion as runs
from webapp.runs import room
from webapp.runs.deletion import TRASH_LIFETIME
from webapp.runs.models import Run

TRASHED_AT_ONCE = 50


def trash_collection(collection: Collection) -> None:
    """Put a collection into the trash; its runs are told to stop."""
    with transaction.atomic():
        for run in collection.runs.filter(status__in=[Run.Status.QUEUED, Run.Status.RUNNING]):
            run.request_cancel()
        collection.trashed_at = timezone.now()
        collection.save(update_fields=["trashed_at"])


def restore_collection(collection: Collection) -> None:
    """Take a collection out of the trash; what its runs had answered is there again."""
    collection.trashed_at = None
    collection.save(update_fields=["trashed_at"])


def delete_collection(collection: Collection) -> None:
    """Delete a collection with everything that hangs on it, for good; files only once that is certain."""
    collection_id = collection.pk
    with transaction.atomic():
        for run in collection.runs.filter(status__in=[Run.Status.QUEUED, Run.Status.RUNNING]):
            run.request_cancel()
        upload_ids = list(collection.uploads.values_list("pk", flat=True))
        run_ids = list(Run.everything.filter(collection=collection).values_list("pk", flat=True))
        with suppress(OSError):  # a full disk must not keep anybody from making room
            storage.note_deletion(collection_id, upload_ids, run_ids)
        collection.delete()
        transaction.on_commit(lambda: storage.forget_collection(collection_id, upload_ids, run_ids))


def finish_deletions() -> None:
    """Remove the files of collections whose deletion was cut off between its commit and the last of them."""
    noted = storage.noted_deletions()
    there = set(Collection.objects.filter(pk__in=noted).values_list("pk", flat=True))
    for collection_id in noted.keys() - there:
        storage.forget_collection(collection_id, **noted[collection_id])


def empty_trash() -> int:
    """Delete for good what has lain in the trash for thirty days; return how many collections.

    What is left is measured: both come every ten seconds, by the reaper's word.
    """
    old = Collection.objects.filter(trashed_at__lt=timezone.now() - TRASH_LIFETIME)
    found = list(old[:TRASHED_AT_ONCE])
    for collection in found:
        delete_collection(collection)
    runs.empty_trash()
    room.measure()
    return len(found)
