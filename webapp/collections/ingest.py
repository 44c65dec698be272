"""Reading an upload: every file of it becomes an image or is refused by name; nothing stops the rest.

May run twice, and twice at once: a lock lets one through, to fetch as to read, and what is stored already (by its
place in the archive) is not stored again. An upload may be given up or deleted all the while: its row alone says
whether it is still wanted, and every write asks it.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import logging
import os
import zipfile
from pathlib import Path
from typing import IO

from django.db import transaction
from django.utils import timezone

from core.data import archives, decoding
from core.data.members import is_hidden
from core.errors import DataError
from webapp.collections import buckets, folders, storage
from webapp.collections.models import Collection, Refusal, Upload
from webapp.collections.room import QuotaUsedUp
from webapp.collections.shelf import NotWanted, Shelf, cut
from webapp.collections.sources import SourceAway

READABLE = (Upload.Status.RECEIVED, Upload.Status.READING)
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
DISK_FULL = "The disk is full. Free some space; reading goes on by itself."
QUOTA_USED_UP = ("Your space is used up. What is left waits on the server: delete a collection or runs for "
                 "good, or ask the administrator for more; reading goes on by itself.")
CANNOT_GO_ON = "The server cannot go on ({reason}). Ask its administrator to mend that; reading goes on by itself."
MAX_IMAGE_BYTES = archives.Limits().member_bytes

logger = logging.getLogger(__name__)


def read_upload(upload: Upload) -> None:
    """Read what an upload brought; returns at once where it is read already, or being fetched or read elsewhere.

    A full or failing disk, a used-up quota or a bucket that does not answer ends the reading with the upload back in
    `received`, to be tried again.
    """
    path = storage.upload_file(upload.pk)
    try:
        if upload.source and not _fetch(upload, path):
            return
        with path.open("r+b") as file:  # a network file system locks only what is open for writing
            if _holds(file, path):
                _read_locked(upload, path)
    except FileNotFoundError:  # or it has been read since, and removed: a message may come twice
        _refuse(upload, "The file is gone from the server's disk; send it again.")
    except DataError as error:
        _refuse(upload, error.reason)
    except SourceAway as error:
        _put_back(upload, str(error))
    except (NotWanted, Collection.DoesNotExist):
        _forget(upload)
    except OSError as error:
        _put_back(upload, _in_words(upload, error))


def _forget(upload: Upload) -> None:
    """Remove what is left of an upload that nobody wants; of a deleted collection, the files written since, too."""
    if Collection.objects.filter(pk=upload.collection_id).exists():
        storage.forget_upload(upload.pk)
    else:
        storage.forget_collection(upload.collection_id, [upload.pk], [])


def _in_words(upload: Upload, error: OSError) -> str:
    """Return what keeps an upload from being read on, with what mends it; what is no full disk is logged too."""
    if error.errno in NO_ROOM:
        return DISK_FULL
    logger.warning("upload %s cannot be read on", upload.pk, exc_info=error)
    return CANNOT_GO_ON.format(reason=error.strerror or type(error).__name__)


def _fetch(upload: Upload, path: Path) -> bool:
    """Bring the bytes of an upload that nobody sent, unless they are here; return False where another is just at it."""
    lock = storage.fetch_lock(upload.pk)
    with lock.open("ab") as file:
        if not _holds(file, lock):
            return False
        try:
            if not path.exists() and _is_unread(upload):  # in this order: the row says it is read before the file goes
                source = buckets if upload.source.startswith(buckets.SCHEME) else folders
                source.fetch(upload)
        finally:
            lock.unlink(missing_ok=True)
    return True


def _holds(file: IO[bytes], path: Path) -> bool:
    """Tell whether this process has got the lock on an open file, and the file is still the one in its place."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except (BlockingIOError, FileNotFoundError):
        return False


def _is_unread(upload: Upload) -> bool:
    """Tell whether the row says so by now."""
    return Upload.objects.filter(pk=upload.pk, status__in=READABLE).exists()


def _read_locked(upload: Upload, path: Path) -> None:
    """Read, holding the file's lock, and write how it ended.

    Raises:
        NotWanted: when the upload is, or is meanwhile, given up, deleted or read.
        Collection.DoesNotExist: when it was deleted meanwhile.
    """
    if not Upload.objects.filter(pk=upload.pk, status__in=READABLE).update(
            status=Upload.Status.READING, message="", updated_at=timezone.now()):
        raise NotWanted
    _forget_earlier_tries(upload)
    shelf = Shelf(upload)
    try:
        _check_content(upload, path)
        if is_hidden(upload.name):
            shelf.skip(0, upload.name, archives.HIDDEN)
        elif _is_archive(upload.name, path):
            _read_archive(upload, path, shelf)
        elif upload.size_bytes > MAX_IMAGE_BYTES:
            raise DataError(upload.name, f"{upload.size_bytes:,} bytes, too large for one image")
        else:
            shelf.take(0, upload.name, path.read_bytes())
        shelf.flush()
    except DataError as error:
        shelf.flush()
        kept = f" ({shelf.stored} images before that were kept)" if shelf.stored else ""
        _refuse(upload, f"{error.reason}{kept}", error.reason)
    except QuotaUsedUp:
        shelf.flush()
        _put_back(upload, QUOTA_USED_UP)
    else:
        refused = not shelf.stored and not is_hidden(upload.name)
        _finish(upload, Upload.Status.REFUSED if refused else Upload.Status.DONE, shelf.closing_words())


def _check_content(upload: Upload, path: Path) -> None:
    """Note what a file is, so that it is known when it is dropped again; refuse it where its sender said otherwise."""
    with path.open("rb") as file:
        arrived = hashlib.file_digest(file, "sha256").hexdigest()
    if upload.sha256 and arrived != upload.sha256:
        raise DataError(upload.name, "not what was sent: it changed on its way or meanwhile; send it again")
    upload.sha256 = arrived


def _forget_earlier_tries(upload: Upload) -> None:
    """Drop what was said of the very same file when it was sent before and refused: it is judged anew.

    A file of a source is the same whatever is in it by now: its name says where it lies.
    """
    same = Upload.objects.filter(collection_id=upload.collection_id, name=upload.name,
                                 status=Upload.Status.REFUSED).exclude(pk=upload.pk)
    if upload.source:
        same = same.exclude(source="")
    else:
        same = same.filter(size_bytes=upload.size_bytes, modified_ms=upload.modified_ms)
    Refusal.objects.filter(upload__in=same).delete()
    same.filter(images=None).delete()


def _read_archive(upload: Upload, path: Path, shelf: Shelf) -> None:
    """Read the members one by one, from where an earlier reading stopped."""
    shelf.take_up_earlier()
    counted = False
    for number, member in enumerate(archives.members(path)):
        if not counted:  # after the first member: by then the archive's directory is known to be harmless
            Upload.objects.filter(pk=upload.pk).update(members_total=_count(path), sha256=upload.sha256)
            counted = True
        if isinstance(member, archives.Skipped):
            shelf.skip(number, member.name, member.reason)
        elif number not in shelf.known:
            try:
                content = member.read()
            except DataError as error:
                if error.file == path.name:
                    raise
                shelf.skip(number, member.name, error.reason)
            else:
                shelf.take(number, member.name, content)
    if not counted:
        raise DataError(upload.name, "an empty archive: there is no file in it")


def _is_archive(name: str, path: Path) -> bool:
    """Tell an archive by its name, or by its content where the name does not say image."""
    lower = name.lower()
    if lower.endswith(archives.SUFFIXES):
        return True
    return Path(lower).suffix not in decoding.SUFFIXES and archives.is_archive(path)


def _count(path: Path) -> int:
    """Return how many files a zip holds, 0 for a tar, whose number is known only at its end."""
    if not zipfile.is_zipfile(path):
        return 0
    with zipfile.ZipFile(path) as archive:
        return sum(not one.is_dir() for one in archive.infolist())


def _refuse(upload: Upload, reason: str, message: str = "") -> None:
    """Refuse the upload as a whole, once, where a person finds it."""
    with transaction.atomic():
        if _end(upload, Upload.Status.REFUSED, message or reason):
            Refusal.objects.create(upload=upload, collection_id=upload.collection_id, path=upload.name,
                                   reason=cut(reason), member=2**31 - 1)
    storage.forget_upload(upload.pk)


def _put_back(upload: Upload, message: str) -> None:
    """Leave the upload to be read again, by the reaper's word, once that can be; unless it is over meanwhile."""
    if not Upload.objects.filter(pk=upload.pk, status__in=READABLE).update(
            status=Upload.Status.RECEIVED, message=message, updated_at=timezone.now()):
        storage.forget_upload(upload.pk)


def _finish(upload: Upload, status: str, message: str) -> None:
    """Write the end and remove the incoming file: what is kept of it is stored."""
    _end(upload, status, message)
    storage.forget_upload(upload.pk)


def _end(upload: Upload, status: str, message: str) -> bool:
    """Write the end, and return whether there was none yet."""
    return bool(Upload.objects.filter(pk=upload.pk, status__in=READABLE).update(
        status=status, message=message[:1000], sha256=upload.sha256, updated_at=timezone.now()))
