"""Where read pictures gather and are stored in batches: numbered without gaps, duplicates pointing at their first."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields

from django.db import transaction
from django.db.models import Exists, F, Max, OuterRef, Q
from django.utils import timezone

from core.data.archives import HIDDEN
from core.data.looks import Look
from core.errors import DataError
from webapp.collections import hazard, room, storage
from webapp.collections.models import Collection, Image, Refusal, Upload
from webapp.collections.pictures import Kept, digest, keep

LOOK = tuple(field.name for field in fields(Look))
"""An image's fields of how it looks, named as in `core.data.looks`."""
BATCH = 64
FLUSH_SECONDS = 1.0
OF_THE_MACHINE = (Q(reason=hazard.REASON) | Q(reason__endswith="do not fit into memory")
                  | Q(reason__startswith="HEIC cannot be read here"))
"""Refusals that hang on the machine and the moment, not on the file alone: read again, it may become an image."""


class NotWanted(Exception):
    """An upload that was given up, deleted, or read to its end elsewhere: nothing is to come of it any more."""


class Shelf:
    """Takes the files of one upload in the order they are read; what it has already it does not take again."""

    def __init__(self, upload: Upload) -> None:
        self.upload = upload
        self._look_up()
        self.images: list[Image] = []
        self.refusals: list[Refusal] = []
        self.flushed_at = time.monotonic()
        self.left_bytes = self._left_bytes()

    def take_up_earlier(self) -> None:
        """Make the images of an earlier reading of the very same archive this upload's; what it refused is judged anew.

        So an archive that was given up half-way, or of which something may be read by now, brings nothing twice.
        """
        if self.known:
            return
        same = Upload.objects.filter(Q(status=Upload.Status.REFUSED) | worth_sending_again(),
                                     Exists(Image.objects.filter(upload=OuterRef("pk"))),
                                     collection_id=self.upload.collection_id, sha256=self.upload.sha256)
        with transaction.atomic():
            earlier = same.exclude(pk=self.upload.pk).order_by("created_at").first()
            if earlier is None:
                return
            Refusal.objects.filter(upload=earlier).delete()
            count = Image.objects.filter(upload=earlier).update(upload=self.upload)
            Upload.objects.filter(pk=self.upload.pk).update(members_read=F("members_read") + count,
                                                            sha256=self.upload.sha256)
            earlier.delete()
        self._look_up()

    def take(self, member: int, name: str, content: bytes) -> None:
        """Keep one file as an image, or refuse it.

        Raises:
            QuotaUsedUp, OSError: when its owner may not store it, or the disk has no room; it can be taken later.
        """
        if member in self.known:
            return
        try:
            with hazard.at_hand(storage.reading_note(self.upload.pk), member, name):
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
        """Store the rows gathered so far, in one transaction, once the disk has their files.

        Raises:
            NotWanted: when the upload was given up meanwhile, what is gathered being stored all the same, or deleted.
            Collection.DoesNotExist: when it was deleted meanwhile.
        """
        storage.settle(name for image in self.images for name in (image.file, image.thumbnail))
        with transaction.atomic():
            row = Upload.objects.filter(pk=self.upload.pk)
            is_wanted = row.filter(status=Upload.Status.READING).update(
                members_read=F("members_read") + len(self.images) + len(self.refusals), updated_at=timezone.now())
            if is_wanted or row.exists():
                store(self.upload.collection_id, self.images)
                Refusal.objects.bulk_create(self.refusals)
        self.stored += len(self.images)
        self.images, self.refusals, self.flushed_at = [], [], time.monotonic()
        self.left_bytes = self._left_bytes()  # others read at the same time: each may pass it by one batch at most
        if not is_wanted:
            raise NotWanted

    def _left_bytes(self) -> int | None:
        """Return what the collection's owner may still store; None for no bound."""
        return room.share(self.upload.collection.owner, besides=self.upload).left_bytes

    def _look_up(self) -> None:
        """Note what is stored of the upload."""
        self.known = {*Image.objects.filter(upload=self.upload).values_list("member", flat=True),
                      *Refusal.objects.filter(upload=self.upload).values_list("member", flat=True)}
        self.stored = Image.objects.filter(upload=self.upload).count()

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


def worth_sending_again() -> Q:
    """Return what holds for uploads that are done, but of which another reading may bring more."""
    return Q(Exists(Refusal.objects.filter(OF_THE_MACHINE, upload=OuterRef("pk"))), status=Upload.Status.DONE)


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
    Collection.objects.filter(pk=collection_id).update(
        images_bytes=F("images_bytes") + sum(image.stored_bytes for image in originals))


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
