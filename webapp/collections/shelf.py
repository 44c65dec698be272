"""Where read pictures gather and are stored in batches: numbered without gaps, duplicates pointing at their first."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields

from django.db import transaction
from django.db.models import F, Max
from django.utils import timezone

from core.data.archives import HIDDEN
from core.data.looks import Look
from core.errors import DataError
from webapp.collections import room, storage
from webapp.collections.hazard import at_hand
from webapp.collections.models import Collection, Image, Refusal, Upload
from webapp.collections.pictures import Kept, digest, keep

LOOK = tuple(field.name for field in fields(Look))
"""An image's fields of how it looks, named as in `core.data.looks`."""
BATCH = 64
FLUSH_SECONDS = 1.0


class Shelf:
    """Takes the files of one upload in the order they are read; what it has already it does not take again."""

    def __init__(self, upload: Upload) -> None:
        self.upload = upload
        self.known = {*Image.objects.filter(upload=upload).values_list("member", flat=True),
                      *Refusal.objects.filter(upload=upload).values_list("member", flat=True)}
        self.stored = Image.objects.filter(upload=upload).count()
        self.images: list[Image] = []
        self.refusals: list[Refusal] = []
        self.flushed_at = time.monotonic()
        self.left_bytes = room.share(upload.collection.owner, besides=upload).left_bytes

    def take(self, member: int, name: str, content: bytes) -> None:
        """Keep one file as an image, or refuse it.

        Raises:
            QuotaUsedUp, OSError: when its owner may not store it, or the disk has no room; it can be taken later.
        """
        if member in self.known:
            return
        try:
            with at_hand(storage.reading_note(self.upload.pk), member, name):
                kept = self._twin(content) or keep(content, name)
        except DataError as error:
            self.skip(member, name, error.reason)
            return
        image = Image(collection_id=self.upload.collection_id, upload=self.upload, member=member, path=name[:1000],
                      width_px=kept.width_px, height_px=kept.height_px, sha256=kept.sha256)
        if isinstance(kept, Kept):
            _note(image, asdict(kept.look))
            image.stored_bytes = len(kept.upright) + len(kept.thumbnail)
            self._take_room(image.stored_bytes)
            image.file = storage.image_name(self.upload.collection_id, kept.sha256, kept.suffix)
            image.thumbnail = storage.thumbnail_name(self.upload.collection_id, kept.sha256)
            storage.write(image.file, kept.upright)
            storage.write(image.thumbnail, kept.thumbnail, durable=False)
        else:
            share_files(image, kept)
        self.images.append(image)
        self._flush_sometimes()

    def skip(self, member: int, name: str, reason: str) -> None:
        """Refuse one file by name; the operating system's own files are no fault of the person's."""
        if member not in self.known:
            self.refusals.append(Refusal(
                collection_id=self.upload.collection_id, upload=self.upload, member=member, path=name[:1000],
                reason=cut(reason), left_out=reason == HIDDEN))
        self._flush_sometimes()

    def closing_words(self) -> str:
        """Return what to say at the end."""
        hidden = Refusal.objects.filter(upload=self.upload, left_out=True).count()
        return f"{hidden} hidden file{'s' if hidden > 1 else ''} of the operating system left out." if hidden else ""

    def flush(self) -> None:
        """Store the rows gathered so far, in one transaction, once the disk has their files."""
        storage.settle(name for image in self.images for name in (image.file, image.thumbnail))
        with transaction.atomic():
            store(self.upload.collection_id, self.images)
            Refusal.objects.bulk_create(self.refusals)
            Upload.objects.filter(pk=self.upload.pk).update(
                members_read=F("members_read") + len(self.images) + len(self.refusals), updated_at=timezone.now())
        self.stored += len(self.images)
        self.images, self.refusals, self.flushed_at = [], [], time.monotonic()

    def _twin(self, content: bytes) -> Image | None:
        """Return the stored image of the very same bytes, if the collection has one: no need to decode again."""
        same = Image.objects.filter(collection_id=self.upload.collection_id, sha256=digest(content))
        return same.order_by("pk").first()  # by number, SQLite goes through all of the collection's for each file

    def _take_room(self, size_bytes: int) -> None:
        room.keep_spare(size_bytes)
        if self.left_bytes is not None:
            if size_bytes > self.left_bytes:
                raise room.QuotaUsedUp
            self.left_bytes -= size_bytes

    def _flush_sometimes(self) -> None:
        waiting = len(self.images) + len(self.refusals)
        if waiting >= BATCH or (waiting and time.monotonic() - self.flushed_at > FLUSH_SECONDS):
            self.flush()


def store(collection_id: int, images: Sequence[Image]) -> None:
    """Store new images of a collection after those it has; call it within a transaction.

    Raises:
        Collection.DoesNotExist: when it was deleted meanwhile.
    """
    collection = Collection.objects.select_for_update().get(pk=collection_id)
    last = collection.images.aggregate(last=Max("number"))["last"]
    firsts = dict(collection.images.filter(duplicate_of=None, sha256__in=[one.sha256 for one in images])
                  .order_by().values_list("sha256", "pk"))
    seen = set(firsts)
    doubles = []
    for number, image in enumerate(images, 0 if last is None else last + 1):
        image.number = number
        if image.sha256 in seen:
            image.stored_bytes = 0
            doubles.append(image)
        seen.add(image.sha256)
    originals = Image.objects.bulk_create([one for one in images if one not in doubles])
    firsts.update({one.sha256: one.pk for one in originals})
    for image in doubles:
        image.duplicate_of_id = firsts[image.sha256]
    Image.objects.bulk_create(doubles)


def share_files(image: Image, twin: Image) -> None:
    """Give an image the files of another of the same content, and what is known of how it looks."""
    image.file, image.thumbnail = twin.file, twin.thumbnail
    _note(image, {name: getattr(twin, name) for name in LOOK})


def _note(image: Image, look: Mapping[str, float | None]) -> None:
    for name, value in look.items():
        setattr(image, name, value)


def cut(text: str, length: int = 500) -> str:
    """Return a reason no longer than its field."""
    return text if len(text) <= length else text[:length - 1] + "…"
