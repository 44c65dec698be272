"""Where a collection's files lie, how they are written so that a crash leaves none half, and how they go."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from django.conf import settings


def upload_file(pk: UUID) -> Path:
    """Return where the bytes of an upload gather."""
    return settings.UPLOADS_ROOT / str(pk)


def reading_note(pk: UUID) -> Path:
    """Return where is noted which picture of an upload is being read (`webapp.collections.hazard`)."""
    return settings.UPLOADS_ROOT / f"{pk}.reading"


def image_name(collection_id: int, sha256: str, suffix: str) -> str:
    """Return the upright image's place under MEDIA_ROOT; `sha256` is of the file as it was sent."""
    return f"images/{collection_id}/{sha256[:2]}/{sha256}{suffix}"


def thumbnail_name(collection_id: int, sha256: str) -> str:
    """Return the thumbnail's place under MEDIA_ROOT."""
    return f"thumbnails/{collection_id}/{sha256}.webp"


def write(name: str, content: bytes, *, durable: bool = True) -> None:
    """Write a file under MEDIA_ROOT, whole or not at all; a file of that name already there stays.

    Names are made of the content's digest, so the one already there has the same content.
    Thumbnails need not be `durable`: waiting for the disk twice an image halves the speed of reading.

    Raises:
        OSError: when the disk is full, with nothing left behind.
    """
    path = settings.MEDIA_ROOT / name
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            if durable:
                os.fdatasync(file.fileno())  # the row that names it may be committed a moment later
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def link(source: str, name: str) -> None:
    """Give a stored file a second name under MEDIA_ROOT; either may go without the other.

    Stored files are never changed, only written whole and removed, so two names may share the bytes.

    Raises:
        FileNotFoundError: when there is no such file.
    """
    path = settings.MEDIA_ROOT / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):  # named by its content: the one there is the same
        path.hardlink_to(settings.MEDIA_ROOT / source)


def forget_upload(pk: UUID) -> None:
    """Remove the bytes of an upload, and what was noted of its reading."""
    upload_file(pk).unlink(missing_ok=True)
    reading_note(pk).unlink(missing_ok=True)


def forget_collection(collection_id: int, upload_ids: Iterable[UUID], run_ids: Iterable[int]) -> None:
    """Remove every file of a collection that is no more; call it after the commit."""
    for kind in ("images", "thumbnails"):
        shutil.rmtree(settings.MEDIA_ROOT / kind / str(collection_id), ignore_errors=True)
    shutil.rmtree(settings.CACHE_ROOT / "features" / str(collection_id), ignore_errors=True)
    for pk in upload_ids:
        forget_upload(pk)
    for pk in run_ids:
        shutil.rmtree(settings.RUNS_ROOT / str(pk), ignore_errors=True)
