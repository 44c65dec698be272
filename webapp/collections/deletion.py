"""Deleting a collection: its runs are told to stop, its rows go, and after the commit its files."""

from __future__ import annotations

from django.db import transaction

from webapp.collections import storage
from webapp.collections.models import Collection
from webapp.runs.models import Run


def delete_collection(collection: Collection) -> None:
    """Delete a collection with everything that hangs on it; files only once that is certain."""
    collection_id = collection.pk
    with transaction.atomic():
        for run in collection.runs.filter(status__in=[Run.Status.QUEUED, Run.Status.RUNNING]):
            run.request_cancel()
        upload_ids = list(collection.uploads.values_list("pk", flat=True))
        run_ids = list(collection.runs.values_list("pk", flat=True))
        collection.delete()
        transaction.on_commit(lambda: storage.forget_collection(collection_id, upload_ids, run_ids))
