"""Where a collection's files lie, how they are written so that a crash leaves none half, and how they go."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings


def upload_file(pk: UUID | str) -> Path:
    """Return where the bytes of an upload gather."""
    return settings.UPLOADS_ROOT / str(pk)


def reading_note(pk: UUID | str) -> Path:
    """Return where is noted which picture of an upload is being read (`webapp.collections.hazard`)."""
    return settings.UPLOADS_ROOT / f"{pk}.reading"


def fetched_part(pk: UUID | str) -> Path:
    """Return where the bytes of an upload gather that a worker fetches itself, until all are there."""
    return settings.UPLOADS_ROOT / f"{pk}.part"


def fetch_lock(pk: UUID | str) -> Path:
    """Return what a process holds while it fetches the bytes of an upload."""
    return settings.UPLOADS_ROOT / f"{pk}.fetching"


def image_name(collection_id: int, sha256: str, suffix: str) -> str:
    """Return the upright image's place under MEDIA_ROOT; `sha256` is of the file as it was sent."""
    return f"images/{collection_id}/{sha256[:2]}/{sha256}{suffix}"


def thumbnail_name(collection_id: int, sha256: str) -> str:
    """Return the thumbnail's place under MEDIA_ROOT."""
    return f"thumbnails/{collection_id}/{sha256}.webp"


def trial_name(run_id: int) -> str:
    """Return a new place under MEDIA_ROOT for a picture that is tried against a run."""
    return f"trials/{run_id}/{uuid.uuid4().hex}"


def trial_note(file: str) -> Path:
    """Return where is noted that a tried picture is being read; `file` is its place under MEDIA_ROOT."""
    return Path(settings.MEDIA_ROOT / f"{file}.reading")


def write(name: str, content: bytes, *, durable: bool = True) -> None:
    """Write a file under MEDIA_ROOT, whole or not at all; a file of that name already there stays.

    Names are made of the content's digest, so the one already there has the same content. Call `settle` before a
    row that names it is written.
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


def settle(names: Iterable[str]) -> None:
    """Wait until the disk has these names under MEDIA_ROOT as it has their contents: a power cut may take a name."""
    one_a_folder = {name.rpartition("/")[0]: name for name in names}.values()
    folders = {folder for name in one_a_folder for folder in (settings.MEDIA_ROOT / name).parents
               if folder.is_relative_to(settings.MEDIA_ROOT)}
    for folder in folders:
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue  # deleted meanwhile; the rows will find that out
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def link(source: str, name: str) -> None:
    """Give a stored file a second name under MEDIA_ROOT; either may go without the other. `settle` it like another.

    Stored files are never changed, only written whole and removed, so two names may share the bytes.

    Raises:
        FileNotFoundError: when there is no such file.
    """
    path = settings.MEDIA_ROOT / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):  # named by its content: the one there is the same
        path.hardlink_to(settings.MEDIA_ROOT / source)


def forget_upload(pk: UUID | str) -> None:
    """Remove the bytes of an upload, and what was noted of its fetching and reading."""
    for path in (upload_file(pk), fetched_part(pk), fetch_lock(pk), reading_note(pk)):
        path.unlink(missing_ok=True)


def forget_trial(file: str) -> None:
    """Remove what is kept of a tried picture, and what was noted of its reading; "" is nothing."""
    if file:
        (settings.MEDIA_ROOT / file).unlink(missing_ok=True)
        trial_note(file).unlink(missing_ok=True)


def note_deletion(collection_id: int, upload_ids: Iterable[str], run_ids: Iterable[int]) -> None:
    """Write down whose files go with a collection, before it is deleted; `noted_deletions` has it until they are gone.

    The rows say it no more once they are deleted, and the process may end before the files are.
    """
    note = _deletion_note(collection_id)
    note.parent.mkdir(exist_ok=True)
    part = note.with_name(f"{note.name}.{os.getpid()}.part")
    try:
        with part.open("w") as file:
            json.dump({"upload_ids": list(upload_ids), "run_ids": list(run_ids)}, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(note)
    finally:
        part.unlink(missing_ok=True)
    settle([f"deleted/{note.name}"])


def noted_deletions() -> dict[int, dict[str, list[Any]]]:
    """Return what was written down, by the collection's number, as `forget_collection` takes it."""
    notes = (settings.MEDIA_ROOT / "deleted").glob("*.json")
    return {int(note.stem): json.loads(note.read_text()) for note in notes}


def _deletion_note(collection_id: int) -> Path:
    return Path(settings.MEDIA_ROOT / "deleted" / f"{collection_id}.json")


def forget_collection(collection_id: int, upload_ids: Iterable[UUID | str], run_ids: Iterable[int]) -> None:
    """Remove every file of a collection that is no more; call it after the commit."""
    for kind in ("images", "thumbnails"):
        shutil.rmtree(settings.MEDIA_ROOT / kind / str(collection_id), ignore_errors=True)
    shutil.rmtree(settings.CACHE_ROOT / "features" / str(collection_id), ignore_errors=True)
    for pk in upload_ids:
        forget_upload(pk)
    for pk in run_ids:
        shutil.rmtree(settings.RUNS_ROOT / str(pk), ignore_errors=True)
        shutil.rmtree(settings.MEDIA_ROOT / "trials" / str(pk), ignore_errors=True)
    _deletion_note(collection_id).unlink(missing_ok=True)
