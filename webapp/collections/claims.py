"""Files that need not be sent, because the same person can see images of their very content already.

Only collections in which the person has a role are looked at: an answer never tells what somebody else has.
"""

from __future__ import annotations

from collections.abc import Collection as Sized
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.db.models import Exists, OuterRef, Sum

from webapp.collections import storage
from webapp.collections.models import Collection, Image, Refusal, Upload
from webapp.collections.room import share
from webapp.collections.shelf import share_files, store, worth_sending_again
from webapp.sharing.access import collections_of

BATCH = 500
TAKEN_AT_ONCE = 20_000
"""In one request and transaction: 10,000 images take about 5 s of computing, 2 of them while SQLite has no other
writer. Larger archives are sent again."""
MEMBER_BYTES = 64 * 1024**2
"""Pictures within archives have no size here; larger ones are so rare that asking for them by content would not pay."""


@dataclass(frozen=True)
class Offered:
    """A file that a browser has: its name with folders, and the SHA-256 of its content in hexadecimal."""

    name: str
    size_bytes: int
    modified_ms: int
    sha256: str


def sizes_here(person: AbstractBaseUser, sizes: Sized[int]) -> set[int]:
    """Return of which of these sizes, in bytes, a file may be here already, so that a browser need not hash the others.

    A file that was sent has its size here; what came within an archive has none, and may be any picture.
    """
    read = Upload.objects.filter(collection__in=collections_of(person).values("pk"), status=Upload.Status.DONE)
    found = set(read.filter(size_bytes__in=sizes).values_list("size_bytes", flat=True))
    unsaid = {size for size in sizes if size <= MEMBER_BYTES} - found
    return found | unsaid if unsaid and read.exclude(members_total=1).exists() else found


def claim(collection: Collection, person: AbstractBaseUser, files: Sequence[Offered]) -> list[int]:
    """Make images of those files whose content is here already; return how many each has here, 0 for one to send.

    What this collection has becomes a duplicate; what another that the person can see has is taken over,
    by a hard link to the stored file, so that either collection may be deleted, as far as the owner's quota goes.
    An archive that was read is taken over with all its images and refusals; one that this collection has read
    brings nothing new. One of which another reading may bring more is to be sent.

    Raises:
        Collection.DoesNotExist: when it was deleted meanwhile.
    """
    digests = {file.sha256 for file in files}
    contents = _images_by_content(collection, person, digests)
    archives = _archives_by_content(collection, person, digests.difference(contents))
    left_bytes = share(collection.owner).left_bytes
    uploads, images, refusals, here = [], [], [], []
    for file in files:
        upload = Upload(collection=collection, sender=person, name=file.name, size_bytes=file.size_bytes,
                        sha256=file.sha256, modified_ms=file.modified_ms, status=Upload.Status.DONE, members_total=1,
                        members_read=1)
        archive = archives.get(file.sha256)
        if archive is not None and archive.collection_id == collection.pk:
            uploads.append(upload)
            here.append(archive.images.count())
            continue
        if left_bytes is not None and _more_bytes(contents, archive, file, collection) > left_bytes:
            taken = []  # before any file is linked
        elif archive is None:
            taken = _taken_over(contents, upload, [(0, file.name, file.sha256)])
        elif len(images) + archive.images.count() > TAKEN_AT_ONCE:
            taken = []
        else:
            taken = _unpacked(archive, upload, person)
        if not taken:
            here.append(0)
            continue
        if left_bytes is not None:
            left_bytes -= sum({image.sha256: image.stored_bytes for image in taken}.values())
        uploads.append(upload)
        images += taken
        refusals += _refusals_of(archive, upload) if archive is not None else []
        here.append(len(taken))
    storage.settle(name for image in images for name in (image.file, image.thumbnail))
    with transaction.atomic():
        Upload.objects.bulk_create(uploads)
        for start in range(0, len(images), BATCH):
            store(collection.pk, images[start:start + BATCH])
        Refusal.objects.bulk_create(refusals, batch_size=BATCH)
    return here


def _more_bytes(contents: Mapping[str, Image], archive: Upload | None, file: Offered, collection: Collection) -> int:
    """Return what taking a file over would add to what the collection's owner stores."""
    if archive is not None:
        found = archive.images.filter(duplicate_of=None).exclude(
            sha256__in=collection.images.values("sha256"))
        return found.aggregate(bytes=Sum("stored_bytes"))["bytes"] or 0
    source = contents.get(file.sha256)
    return source.stored_bytes if source is not None and source.collection_id != collection.pk else 0


def _images_by_content(collection: Collection, person: AbstractBaseUser, digests: Sized[str]) -> dict[str, Image]:
    """Return digest -> an image with that content, this collection's own where it has one."""
    seen, asked = collections_of(person).values("pk"), list(digests)
    found: dict[str, Image] = {}
    for start in range(0, len(asked), BATCH):
        some = Image.objects.filter(collection__in=seen, sha256__in=asked[start:start + BATCH], duplicate_of=None)
        for image in some.order_by("pk"):
            if image.sha256 not in found or image.collection_id == collection.pk:
                found[image.sha256] = image
    return found


def _archives_by_content(collection: Collection, person: AbstractBaseUser, digests: Sized[str]) -> dict[str, Upload]:
    """Return digest -> an archive with that content and its images, this collection's own where it has one.

    One of which another reading may bring more is not here: where it is this collection's own, it takes no other over
    either, for sent again it brings only what it lacks (`Shelf.take_up_earlier`).
    """
    read = Upload.objects.filter(Exists(Image.objects.filter(upload=OuterRef("pk"))), status=Upload.Status.DONE,
                                 collection__in=collections_of(person).values("pk"), sha256__in=digests)
    lacking = read.filter(worth_sending_again(), collection=collection).values_list("sha256", flat=True)
    found: dict[str, Upload] = {}
    for upload in read.exclude(worth_sending_again()).exclude(sha256__in=set(lacking)).order_by("created_at"):
        if upload.sha256 not in found or upload.collection_id == collection.pk:
            found[upload.sha256] = upload
    return found


def _unpacked(archive: Upload, upload: Upload, person: AbstractBaseUser) -> list[Image]:
    """Return new rows for all images of an archive that another collection has; none where one of them has gone."""
    upload.members_total, upload.members_read = archive.members_total, archive.members_read
    upload.message = archive.message
    members = list(archive.images.order_by("member").values_list("member", "path", "sha256"))
    contents = _images_by_content(upload.collection, person, {sha256 for *_, sha256 in members})
    return _taken_over(contents, upload, members)


def _refusals_of(archive: Upload, upload: Upload) -> list[Refusal]:
    """Return the same refusals for an upload that takes an archive over."""
    return [Refusal(collection=upload.collection, upload=upload, member=one.member, path=one.path, reason=one.reason,
                    left_out=one.left_out) for one in archive.refusals.all()]


def _taken_over(contents: dict[str, Image], upload: Upload, members: Sequence[tuple[int, str, str]]) -> list[Image]:
    """Return new rows of an upload for the same contents, their files linked; none where a stored one has gone.

    Args:
        contents: digest -> an image that has it.
        upload: in whose collection they are to be.
        members: their places in the upload, their paths and digests.
    """
    collection_id, taken = upload.collection_id, []
    for member, path, sha256 in members:
        source = contents.get(sha256)
        if source is None:
            return []
        image = Image(collection_id=collection_id, upload=upload, member=member, path=path, sha256=sha256,
                      width_px=source.width_px, height_px=source.height_px)
        share_files(image, source)
        if source.collection_id != collection_id:
            image.stored_bytes = source.stored_bytes
            image.file = storage.image_name(collection_id, sha256, PurePosixPath(source.file).suffix)
            image.thumbnail = storage.thumbnail_name(collection_id, sha256)
            try:
                storage.link(source.file, image.file)
                storage.link(source.thumbnail, image.thumbnail)
            except FileNotFoundError:
                return []
        taken.append(image)
    return taken
