"""Reading an upload: every file of it becomes an image or is refused by name; nothing stops the rest.

May run twice, and twice at once: a lock on the incoming file lets one through, and what is stored
already (by its place in the archive) is not stored again.
"""

from __future__ import annotations

import errno
import fcntl
import time
import zipfile
from pathlib import Path

from django.db import transaction
from django.db.models import F, Max
from django.utils import timezone

from core.data import archives, decoding
from core.errors import DataError
from webapp.collections import storage
from webapp.collections.models import Collection, Image, Refusal, Upload
from webapp.collections.pictures import Kept, digest, keep

BATCH = 64
FLUSH_SECONDS = 1.0
READABLE = (Upload.Status.RECEIVED, Upload.Status.READING)
DISK_FULL = "The disk is full. Free some space; reading goes on by itself."
MAX_IMAGE_BYTES = archives.Limits().member_bytes


def read_upload(upload: Upload) -> None:
    """Read what an upload brought; returns at once where it is read already or being read elsewhere.

    A full disk ends the reading with the upload back in `received`, to be tried again.
    """
    path = storage.upload_file(upload.pk)
    try:
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            _read_locked(upload, path)
    except FileNotFoundError:
        _finish(upload, Upload.Status.REFUSED, "The file is gone from the server's disk; send it again.")


def _read_locked(upload: Upload, path: Path) -> None:
    """Read, holding the file's lock, and write how it ended."""
    if not Upload.objects.filter(pk=upload.pk, status__in=READABLE).update(
            status=Upload.Status.READING, message="", updated_at=timezone.now()):
        return
    shelf = _Shelf(upload)
    try:
        if _is_archive(upload.name, path):
            _read_archive(upload, path, shelf)
        elif upload.size_bytes > MAX_IMAGE_BYTES:
            raise DataError(upload.name, f"{upload.size_bytes:,} bytes, too large for one image")
        else:
            shelf.take(0, upload.name, path.read_bytes())
        shelf.flush()
    except Collection.DoesNotExist:  # deleted while it was read: so are the files written since
        storage.forget_collection(upload.collection_id, [upload.pk], [])
    except DataError as error:
        shelf.flush()
        kept = f" ({shelf.stored} images before that were kept)" if shelf.stored else ""
        Refusal.objects.get_or_create(upload=upload, collection_id=upload.collection_id, path=upload.name,
                                      defaults={"reason": _cut(f"{error.reason}{kept}"), "member": 2**31 - 1})
        _finish(upload, Upload.Status.REFUSED, error.reason)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        Upload.objects.filter(pk=upload.pk).update(status=Upload.Status.RECEIVED, message=DISK_FULL,
                                                   updated_at=timezone.now())
    else:
        refused = not shelf.stored and not Image.objects.filter(upload=upload).exists()
        _finish(upload, Upload.Status.REFUSED if refused else Upload.Status.DONE, shelf.closing_words())


def _read_archive(upload: Upload, path: Path, shelf: _Shelf) -> None:
    """Read the members one by one, from where an earlier reading stopped."""
    counted = False
    for number, member in enumerate(archives.members(path)):
        if not counted:  # after the first member: by then the archive's directory is known to be harmless
            Upload.objects.filter(pk=upload.pk).update(members_total=_count(path))
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


def _finish(upload: Upload, status: str, message: str) -> None:
    """Write the end and remove the incoming file: what is kept of it is stored."""
    Upload.objects.filter(pk=upload.pk).update(status=status, message=message[:1000], updated_at=timezone.now())
    storage.forget_upload(upload.pk)


def _cut(text: str, length: int = 500) -> str:
    return text if len(text) <= length else text[:length - 1] + "…"


class _Shelf:
    """Gathers read pictures and stores their rows in batches, numbered in the order they were read."""

    def __init__(self, upload: Upload) -> None:
        self.upload = upload
        self.known = {*Image.objects.filter(upload=upload).values_list("member", flat=True),
                      *Refusal.objects.filter(upload=upload).values_list("member", flat=True)}
        self.stored = Image.objects.filter(upload=upload).count()
        self.hidden = 0
        self.images: list[Image] = []
        self.refusals: list[Refusal] = []
        self.flushed_at = time.monotonic()

    def take(self, member: int, name: str, content: bytes) -> None:
        """Keep one file as an image, or refuse it."""
        if member in self.known:
            return
        try:
            kept = self._twin(content) or keep(content, name)
        except DataError as error:
            self.skip(member, name, error.reason)
            return
        image = Image(collection_id=self.upload.collection_id, upload=self.upload, member=member, path=name[:1000],
                      width_px=kept.width_px, height_px=kept.height_px, sha256=kept.sha256)
        if isinstance(kept, Kept):
            image.file = storage.image_name(self.upload.collection_id, kept.sha256, kept.suffix)
            image.thumbnail = storage.thumbnail_name(self.upload.collection_id, kept.sha256)
            storage.write(image.file, kept.upright)
            storage.write(image.thumbnail, kept.thumbnail, durable=False)
        else:
            image.file, image.thumbnail = kept.file, kept.thumbnail
        self.images.append(image)
        self._flush_sometimes()

    def skip(self, member: int, name: str, reason: str) -> None:
        """Refuse one file by name; the operating system's own files are counted only."""
        if reason == archives.HIDDEN:
            self.hidden += 1
        elif member not in self.known:
            self.refusals.append(Refusal(collection_id=self.upload.collection_id, upload=self.upload, member=member,
                                         path=name[:1000], reason=_cut(reason)))
        self._flush_sometimes()

    def closing_words(self) -> str:
        """Return what to say at the end."""
        if not self.hidden:
            return ""
        return f"{self.hidden} hidden file{'s' if self.hidden > 1 else ''} of the operating system left out."

    def _twin(self, content: bytes) -> Image | None:
        """Return the stored image of the very same bytes, if the collection has one: no need to decode again."""
        return Image.objects.filter(collection_id=self.upload.collection_id, sha256=digest(content)).first()

    def _flush_sometimes(self) -> None:
        waiting = len(self.images) + len(self.refusals)
        if waiting >= BATCH or (waiting and time.monotonic() - self.flushed_at > FLUSH_SECONDS):
            self.flush()

    def flush(self) -> None:
        """Store the rows: one transaction, numbers without gaps, duplicates pointing at the first of their kind."""
        with transaction.atomic():
            collection = Collection.objects.select_for_update().get(pk=self.upload.collection_id)
            last = collection.images.aggregate(last=Max("number"))["last"]
            firsts = dict(collection.images.filter(duplicate_of=None, sha256__in=[one.sha256 for one in self.images])
                          .values_list("sha256", "pk"))
            seen = set(firsts)
            doubles = []
            for number, image in enumerate(self.images, 0 if last is None else last + 1):
                image.number = number
                if image.sha256 in seen:
                    doubles.append(image)
                seen.add(image.sha256)
            originals = Image.objects.bulk_create([one for one in self.images if one not in doubles])
            firsts.update({one.sha256: one.pk for one in originals})
            for image in doubles:
                image.duplicate_of_id = firsts[image.sha256]
            Image.objects.bulk_create(doubles)
            Refusal.objects.bulk_create(self.refusals)
            Upload.objects.filter(pk=self.upload.pk).update(
                members_read=F("members_read") + len(self.images) + len(self.refusals), updated_at=timezone.now())
        self.stored += len(self.images)
        self.images, self.refusals, self.flushed_at = [], [], time.monotonic()
