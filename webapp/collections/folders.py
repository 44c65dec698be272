"""Folders mounted on the server as a source of images: only below the roots that its administrator lists.

A file becomes an upload whose bytes the worker fetches itself; from there on it is read as if it had been sent.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_POST

from core.data.members import HIDDEN, is_hidden
from core.errors import DataError
from webapp.audit.trail import record
from webapp.collections import storage
from webapp.collections.models import Collection, Refusal, Upload
from webapp.collections.permissions import get_own_collection
from webapp.collections.receiving import clean_name
from webapp.collections.room import check_disk, check_quota
from webapp.collections.tus import Refused
from workers.app import send

TOLD_AT_ONCE = 500
"""So many files are sent to the workers at once; the reaper sends the rest by and by."""
LINK_OUT = "a link that leads out of the folder"
BATCH = 1000


@dataclass(frozen=True)
class Found:
    """One file below a root: what it is called, where it is; why it is not taken, or ""."""

    name: str
    path: Path
    reason: str = ""


@require_POST
def add_folder(request: HttpRequest, pk: int) -> HttpResponse:
    """Add what is new in a folder on the server; asked again, only what has come since."""
    collection = get_own_collection(request, pk)
    try:
        root = _root(request.POST.get("root", ""))
        count = add(collection, root, folder_below(root, request.POST.get("below", "")))
    except (DataError, Refused) as error:
        messages.error(request, str(error))
    else:
        record(request, collection, f"added {count:,} files of the server's folder {root.name}")
        messages.success(request, f"{count:,} new file{'' if count == 1 else 's'} of {root.name}." if count
                         else f"Nothing new in {root.name}.")
    return redirect("collections:images", pk)


def _root(place: str) -> Path:
    """Return a root by its place in the setting."""
    roots = settings.SOURCE_ROOTS
    if not place.isascii() or not place.isdigit() or int(place[:4]) >= len(roots):
        raise DataError("folder", "it is not one of those that the administrator lists in LABELFREE_FOLDERS")
    return roots[int(place[:4])]


def folder_below(root: Path, below: str) -> Path:
    """Return a folder below a root.

    Raises:
        DataError: for one that is not there or that leads out.
    """
    folder = (root / below.strip().lstrip("/")).resolve()
    if not folder.is_relative_to(root.resolve()) or not folder.is_dir():
        raise DataError(below or str(root), f"there is no such folder below {root.name}")
    return folder


def files(root: Path, folder: Path) -> Iterator[Found]:
    """Yield the files below a folder in order, named from their root; linked folders are not entered."""
    for where, names, found in os.walk(folder):
        names.sort()
        for file in sorted(found):
            path = Path(where) / file
            name = clean_name(f"{root.name}/{path.relative_to(root.resolve()).as_posix()}")
            if is_hidden(path.relative_to(root.resolve()).as_posix()):
                yield Found(name, path, HIDDEN)
            elif not path.is_file() or not path.resolve().is_relative_to(root.resolve()):
                yield Found(name, path, LINK_OUT)
            else:
                yield Found(name, path)


def add(collection: Collection, root: Path, folder: Path) -> int:
    """Note the files that the collection does not have yet by name, size and time, and tell the workers.

    Raises:
        Refused: where there is no room for them, before anything is noted.
    """
    uploads_here = collection.uploads.exclude(status=Upload.Status.REFUSED)
    noted = set(uploads_here.values_list("name", "size_bytes", "modified_ms"))
    refused = set(collection.refusals.filter(upload=None).values_list("path", flat=True))
    uploads, refusals = [], []
    for one in files(root, folder):
        if one.reason:
            if one.name not in refused:
                refusals.append(Refusal(collection=collection, path=one.name, reason=one.reason,
                                        left_out=one.reason == HIDDEN))
            continue
        state = one.path.stat()
        modified_ms = state.st_mtime_ns // 10**6
        if (one.name, state.st_size, modified_ms) not in noted:
            uploads.append(Upload(
                collection=collection, name=one.name, size_bytes=state.st_size, received_bytes=state.st_size,
                modified_ms=modified_ms, source=str(one.path), status=Upload.Status.RECEIVED, members_total=1))
    needed_bytes = sum(one.size_bytes for one in uploads)
    check_quota(collection.owner, needed_bytes)
    check_disk(needed_bytes)
    now = timezone.now()
    for upload in uploads[:TOLD_AT_ONCE]:
        upload.sent_at = now
    with transaction.atomic():
        Refusal.objects.bulk_create(refusals, batch_size=BATCH)
        Upload.objects.bulk_create(uploads, batch_size=BATCH)
        for upload in uploads[:TOLD_AT_ONCE]:
            transaction.on_commit(lambda pk=upload.pk: send("workers.tasks.read_upload", str(pk), queue="cpu"))
    return len(uploads)


def fetch(upload: Upload) -> None:
    """Copy a file from its folder to where an upload's bytes gather, whole or not at all.

    Raises:
        DataError: when it has gone, or leads out of the roots by now.
        OSError: when the disk is full.
    """
    path = Path(upload.source)
    if not any(path.resolve().is_relative_to(root.resolve()) for root in settings.SOURCE_ROOTS):
        raise DataError(upload.name, "its folder is not among those that the administrator lists any more")
    place = storage.upload_file(upload.pk)
    part = place.with_name(f"{place.name}.{os.getpid()}.part")
    try:
        shutil.copyfile(path, part)
        part.replace(place)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DataError(upload.name, f"cannot be read from its folder: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)
