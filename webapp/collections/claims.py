"""Files that need not be sent, because an image that the same person can see has their very content already.

Only collections in which the person has a role are looked at: an answer never tells what somebody else has.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction

from webapp.collections import storage
from webapp.collections.models import Collection, Image, Upload
from webapp.collections.room import share
from webapp.collections.shelf import share_files, store
from webapp.sharing.access import collections_of


@dataclass(frozen=True)
class Offered:
    """A file that a browser has: its name with folders, and the SHA-256 of its content in hexadecimal."""

    name: str
    size_bytes: int
    modified_ms: int
    sha256: str


def claim(collection: Collection, person: AbstractBaseUser, files: Sequence[Offered]) -> list[bool]:
    """Make images of those files whose content is here already; return for each whether it need not be sent.

    What this collection has becomes a duplicate; what another that the person can see has is taken over,
    by a hard link to the stored file, so that either collection may be deleted, as far as the owner's quota goes.
    An archive that this collection has read is not read again.

    Raises:
        Collection.DoesNotExist: when it was deleted meanwhile.
    """
    digests = {file.sha256 for file in files}
    done = collection.uploads.filter(sha256__in=digests, status=Upload.Status.DONE)
    read = set(done.values_list("sha256", flat=True))
    left_bytes = share(collection.owner).left_bytes
    found = _images_by_content(collection, person, digests)
    uploads, images, here = [], [], []
    for file in files:
        source = found.get(file.sha256)
        fits = source is not None and (left_bytes is None or source.stored_bytes <= left_bytes)
        image = _taken_over(source, collection, file) if source is not None and fits else None
        if image is not None and left_bytes is not None:
            left_bytes -= image.stored_bytes
        here.append(image is not None or file.sha256 in read)
        if image is not None:
            images.append(image)
        if here[-1]:
            uploads.append(Upload(
                collection=collection, name=file.name, size_bytes=file.size_bytes, modified_ms=file.modified_ms,
                sha256=file.sha256, status=Upload.Status.DONE, members_total=1, members_read=1))
            if image is not None:
                image.upload = uploads[-1]
    storage.settle(name for image in images for name in (image.file, image.thumbnail))
    with transaction.atomic():
        Upload.objects.bulk_create(uploads)
        store(collection.pk, images)
    return here


def _images_by_content(collection: Collection, person: AbstractBaseUser, digests: set[str]) -> dict[str, Image]:
    """Return digest -> an image with that content, this collection's own where it has one."""
    seen = collections_of(person).values("pk")
    found: dict[str, Image] = {}
    for image in Image.objects.filter(collection__in=seen, sha256__in=digests, duplicate_of=None).order_by("pk"):
        if image.sha256 not in found or image.collection_id == collection.pk:
            found[image.sha256] = image
    return found


def _taken_over(source: Image, collection: Collection, file: Offered) -> Image | None:
    """Return a new row for the same content, its files linked; None where the stored ones have gone."""
    image = Image(collection=collection, path=file.name, sha256=source.sha256, width_px=source.width_px,
                  height_px=source.height_px)
    share_files(image, source)
    if source.collection_id != collection.pk:
        image.stored_bytes = source.stored_bytes
        image.file = storage.image_name(collection.pk, source.sha256, PurePosixPath(source.file).suffix)
        image.thumbnail = storage.thumbnail_name(collection.pk, source.sha256)
        with suppress(FileNotFoundError):
            storage.link(source.file, image.file)
            storage.link(source.thumbnail, image.thumbnail)
            return image
        return None
    return image
