"""What the sources of images besides the browser share: a folder on the server, a bucket.

What is new in a source becomes uploads whose bytes the worker fetches; from there on they are read as if they had been
sent. A source says what is there, and fetches one file of it; all else is here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import UUID

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone

from core.data.members import HIDDEN
from core.errors import DataError
from webapp.audit.trail import record
from webapp.collections import storage
from webapp.collections.models import Collection, Refusal, Upload
from webapp.collections.room import check_disk, check_quota, held_for
from webapp.collections.tus import Refused
from workers.app import send

TOLD_AT_ONCE = 500
"""So many files are sent to the workers at once; the reaper sends the rest by and by."""
BATCH = 1000


class SourceAway(Exception):
    """A source that cannot be asked for now, as a sentence; what is wanted of it waits."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """One file of a source.

    Attributes:
        name: what people see: the source's name, then the file's with its folders.
        address: where the worker fetches it from, kept as `Upload.source`.
        size_bytes: of the file.
        modified_ms: when it was last changed; with name and size, how it is known again.
        reason: why it is not taken, or "".
    """

    name: str
    address: str = ""
    size_bytes: int = 0
    modified_ms: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Source:
    """A part of what an administrator lists: its name, what kind of place it is, and the files there."""

    name: str
    kind: str
    files: Iterable[Found]


def answer(request: HttpRequest, collection: Collection, look: Callable[[str], Source]) -> HttpResponse:
    """Answer somebody who asks for what is new in a source, only what has come since when asked again.

    Args:
        request: with the field `below`: the part of the source that is meant, "" for all.
        collection: the asker's own.
        look: gives the source, or raises a DataError in words for the asker.
    """
    try:
        below = request.POST.get("below", "").strip().strip("/")
        if "\0" in below:
            raise DataError("folder", "there is none with such a name")
        source = look(below)
        count = add(collection, source.files)
    except (DataError, Refused) as error:
        messages.error(request, str(error))
    else:
        record(request, collection, f"added {count:,} files of {source.kind} {source.name}")
        messages.success(request, f"{count:,} new file{'' if count == 1 else 's'} of {source.name}." if count
                         else f"Nothing new in {source.name}.")
    return redirect("collections:images", collection.pk)


def add(collection: Collection, files: Iterable[Found]) -> int:
    """Note the files that the collection does not have yet by name, size and time, and tell the workers.

    Raises:
        Refused: where there is no room for them, before anything is noted.
    """
    found = list(files)  # a bucket's list takes a while, in which others may go on
    with held_for(collection.owner):
        return _note(collection, found)


def _note(collection: Collection, files: Sequence[Found]) -> int:
    uploads_here = collection.uploads.exclude(status=Upload.Status.REFUSED)
    noted = set(uploads_here.values_list("name", "size_bytes", "modified_ms"))
    refused = set(collection.refusals.filter(upload=None).values_list("path", flat=True))
    uploads, refusals = [], []
    for one in files:
        if one.reason:
            if one.name not in refused:
                refusals.append(Refusal(collection=collection, path=one.name, reason=one.reason,
                                        left_out=one.reason == HIDDEN))
        elif (one.name, one.size_bytes, one.modified_ms) not in noted:
            uploads.append(Upload(
                collection=collection, name=one.name, size_bytes=one.size_bytes, received_bytes=one.size_bytes,
                modified_ms=one.modified_ms, source=one.address, status=Upload.Status.RECEIVED, members_total=1))
    needed_bytes = sum(one.size_bytes for one in uploads)
    check_quota(collection.owner, needed_bytes)
    check_disk(needed_bytes)
    now = timezone.now()
    for upload in uploads[:TOLD_AT_ONCE]:
        upload.sent_at = now
    Refusal.objects.bulk_create(refusals, batch_size=BATCH)
    Upload.objects.bulk_create(uploads, batch_size=BATCH)
    transaction.on_commit(partial(_tell, [upload.pk for upload in uploads[:TOLD_AT_ONCE]]))
    return len(uploads)


def _tell(uploads: Sequence[UUID]) -> None:
    """Tell the workers of uploads; where Redis does not answer, the reaper does it later."""
    for place, pk in enumerate(uploads):
        if not send("workers.tasks.read_upload", str(pk), queue="cpu"):  # each would wait a second
            Upload.objects.filter(pk__in=uploads[place:], status=Upload.Status.RECEIVED).update(sent_at=None)
            return


@contextmanager
def arriving(upload: Upload) -> Iterator[Path]:
    """Give the file that an upload's bytes are to be written to; they are in place once all were, or not at all.

    One process at a time fetches an upload (`webapp.collections.ingest`); what a killed one left is written over.
    """
    part = storage.fetched_part(upload.pk)
    try:
        yield part
        part.replace(storage.upload_file(upload.pk))
    finally:
        part.unlink(missing_ok=True)
