"""Writing an upload's bytes: under a lock, to the disk first and to the row after, so that neither runs ahead."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import IO, BinaryIO

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from core.data.archives import SUFFIXES, Limits
from webapp.collections import storage
from webapp.collections.models import Upload
from webapp.collections.room import check_disk
from webapp.collections.tus import Refused
from workers.app import send

BLOCK_BYTES = 1024 * 1024
MAX_UPLOAD_BYTES = 100 * 1024**3
MAX_UNPACKED_BYTES = Limits().total_bytes


def check_size(name: str, size_bytes: int) -> None:
    """Refuse, before its first byte, a file that could not be read once it is here.

    Raises:
        Refused: 413 with the bound and the fix.
    """
    if size_bytes > MAX_UPLOAD_BYTES:
        raise Refused(413, f"A file may have at most {MAX_UPLOAD_BYTES // 2**30} GB; split it.")
    if name.lower().endswith(SUFFIXES) and size_bytes > MAX_UNPACKED_BYTES:
        raise Refused(413, f"An archive may have at most {MAX_UNPACKED_BYTES // 10**9} GB unpacked, and this one is "
                           "larger as it is. Drop the folder itself, or split it.")


def clean_name(name: str) -> str:
    """Return a file's own name with its folders, for showing: forward slashes, no way up, no control characters."""
    readable = "".join(character for character in name.replace("\\", "/") if character.isprintable())
    parts = [part for part in PurePosixPath(readable).parts if part not in {"/", "..", "."}]
    return "/".join(parts)[-1000:] or "unnamed"


def offset(upload: Upload) -> int:
    """Return how many bytes are safely there; what the disk lost is sent again."""
    path = storage.upload_file(upload.pk)
    return min(upload.received_bytes, path.stat().st_size if path.exists() else 0)


@contextmanager
def locked(upload: Upload) -> Iterator[BinaryIO]:
    """Open the upload's file for one writer at a time; another is told 423 and tries again."""
    descriptor = os.open(storage.upload_file(upload.pk), os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(423, "Another request is writing this upload; try again.") from None
        yield file


def append(upload: Upload, body: IO[bytes], length: int, at: int | None = None) -> int:
    """Write one chunk and return the new offset; when the last byte is there, hand the upload to a worker.

    Args:
        upload: still receiving.
        body: the request's stream.
        length: bytes in it.
        at: the offset the client believes in, None at creation.
    """
    if length > settings.CHUNK_BYTES:
        raise Refused(413, f"One request may carry at most {settings.CHUNK_BYTES // 2**20} MB; send smaller chunks.")
    with locked(upload) as file:
        upload.refresh_from_db(fields=["received_bytes", "status"])
        if upload.status != Upload.Status.RECEIVING:
            raise Refused(409, "This upload is complete already.")
        start = offset(upload)
        if at is not None and at != start:
            raise Refused(409, f"The next byte is {start}, not {at}.")
        check_disk(length)
        if start + length > upload.size_bytes:
            raise Refused(413, f"More bytes than the {upload.size_bytes} that were announced.")
        return _write(upload, file, start, body, length)


def _write(upload: Upload, file: BinaryIO, start: int, body: IO[bytes], length: int) -> int:
    file.truncate(start)  # a crash between disk and row leaves a tail that nobody counted
    file.seek(start)
    left = length
    try:
        while left and (block := body.read(min(BLOCK_BYTES, left))):
            file.write(block)
            left -= len(block)
        file.flush()
        os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        file.truncate(start)
        raise Refused(507, "The server's disk is full. Free some space, then try again: "
                           "what arrived is kept.") from None
    end = start + length - left
    complete = end == upload.size_bytes
    with transaction.atomic():
        Upload.objects.filter(pk=upload.pk).update(
            received_bytes=end, updated_at=timezone.now(),
            status=Upload.Status.RECEIVED if complete else Upload.Status.RECEIVING)
        if complete:
            transaction.on_commit(lambda: send("workers.tasks.read_upload", str(upload.pk), queue="cpu"))
    return end
