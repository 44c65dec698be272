"""Room for more files: what a person's collections hold of what they may store, and what the server's disk still holds.

Everything is counted that a collection brings to the disk, in its owner's name: images with their thumbnails, what is
on its way in, the folders of its runs (checkpoint, model package, pictures, log) and the features that these share.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.db.models import QuerySet, Sum

from core.errors import DataError
from webapp.collections.models import Collection, Upload
from webapp.collections.tus import Refused
from webapp.runs.models import Run

SPARE_BYTES = 200 * 1024**2
"""Disk space that uploads leave free: a database and a checkpoint need to be written too."""
ARRIVING = (Upload.Status.RECEIVING, Upload.Status.RECEIVED, Upload.Status.READING)


@dataclass(frozen=True, kw_only=True)
class Share:
    """What of a person's quota is used, and by what.

    Attributes:
        images_bytes: stored images with their thumbnails.
        arriving_bytes: all of what is announced but not read yet.
        runs_bytes: folders of runs.
        features_bytes: what runs have stored for each other.
        quota_bytes: what they may store; 0 where there is no bound.
    """

    images_bytes: int = 0
    arriving_bytes: int = 0
    runs_bytes: int = 0
    features_bytes: int = 0
    quota_bytes: int = 0

    @property
    def used_bytes(self) -> int:
        """Return the sum."""
        return self.images_bytes + self.arriving_bytes + self.runs_bytes + self.features_bytes

    @property
    def parts(self) -> list[tuple[str, int]]:
        """Return what uses how many bytes, the most first; what uses none is left out."""
        named = {"images": self.images_bytes, "files on their way": self.arriving_bytes, "runs": self.runs_bytes,
                 "stored features": self.features_bytes}
        return sorted(((name, size) for name, size in named.items() if size), key=lambda part: -part[1])

    @property
    def percent(self) -> int:
        """Return how much is used, 0 … 100."""
        return min(100, round(100 * self.used_bytes / self.quota_bytes)) if self.quota_bytes else 0

    @property
    def left_bytes(self) -> int | None:
        """Return what may still come, None for no bound."""
        return max(0, self.quota_bytes - self.used_bytes) if self.quota_bytes else None


class QuotaUsedUp(Exception):
    """An upload unpacks to more than its owner may store."""


@contextmanager
def held_for(person: AbstractBaseUser) -> Iterator[None]:
    """Let nobody else announce files of a person's before the rows of this are written: each would find room.

    It is one transaction. SQLite has one writer at a time anyway.
    """
    with transaction.atomic():
        get_user_model().objects.select_for_update(no_key=True).get(pk=person.pk)
        yield


def share(person: AbstractBaseUser, besides: Upload | None = None) -> Share:
    """Return what a person uses, over all their collections; where there is no quota nothing is counted.

    Args:
        person: the owner of the collections.
        besides: an upload that is not counted: it is just being read, and its images are.
    """
    return shares([person.pk], besides)[person.pk] if settings.QUOTA_BYTES else Share()


def shares(people: Iterable[int], besides: Upload | None = None) -> dict[int, Share]:
    """Return what each of these people uses, whether or not there is a quota; what is in the trash is counted too."""
    people = list(people)
    theirs = Collection.objects.filter(owner__in=people)
    waiting = Upload.objects.filter(collection__in=theirs, status__in=ARRIVING)
    if besides is not None:
        waiting = waiting.exclude(pk=besides.pk)
    images = _by_owner(theirs, "images_bytes", owner="owner")
    arriving = _by_owner(waiting, "size_bytes")
    runs = _by_owner(Run.everything.filter(collection__in=theirs), "stored_bytes")
    features = _by_owner(theirs, "features_bytes", owner="owner")
    return {pk: Share(images_bytes=images.get(pk, 0), arriving_bytes=arriving.get(pk, 0), runs_bytes=runs.get(pk, 0),
                      features_bytes=features.get(pk, 0), quota_bytes=settings.QUOTA_BYTES) for pk in people}


def _by_owner(rows: QuerySet, size: str, owner: str = "collection__owner") -> dict[int, int]:
    """Return owner -> the sum of their rows' sizes."""
    return dict(rows.order_by().values_list(owner).annotate(sum=Sum(size)))


def check_quota(person: AbstractBaseUser, more_bytes: int) -> None:
    """Refuse (413) what the person may not store any more."""
    if lacking := _lacking(person, more_bytes):
        raise Refused(413, f"{lacking}. Delete a collection or runs for good, or ask the administrator for more.")


def check_run(collection: Collection, more_bytes: int) -> None:
    """Refuse a run that will hold at least so much, where the collection's owner may not store it any more.

    How much it holds in the end nobody knows before: one may go beyond the quota, the next is refused.

    Raises:
        DataError: with what uses the quota, and what to delete.
    """
    if lacking := _lacking(collection.owner, more_bytes):
        largest = Run.everything.filter(collection=collection, stored_bytes__gt=0).order_by("-stored_bytes").first()
        hint = f" (run {largest.pk} of this one holds {_megabytes(largest.stored_bytes)})" if largest else ""
        raise DataError("room", f"{lacking}; delete runs or a collection for good{hint}, or ask the administrator for "
                                "more")


def _lacking(person: AbstractBaseUser, more_bytes: int) -> str:
    """Say whose quota is too small for so much more, and what uses it; "" where it is large enough."""
    now = share(person)
    if now.left_bytes is None or more_bytes <= now.left_bytes:
        return ""
    uses = ", ".join(f"{name} {_megabytes(size)}" for name, size in now.parts)
    return (f"The quota of {person.get_username()} is {_megabytes(now.quota_bytes)}, of which "
            f"{_megabytes(now.used_bytes)} are used{f' ({uses})' if uses else ''}; this needs "
            f"{_megabytes(more_bytes)} more")


def check_disk(more_bytes: int) -> None:
    """Refuse (507) what would fill the disk."""
    free_bytes = shutil.disk_usage(settings.UPLOADS_ROOT).free
    if more_bytes + SPARE_BYTES > free_bytes:
        raise Refused(507, f"The server's disk has {_megabytes(free_bytes)} free; this needs {_megabytes(more_bytes)}, "
                           f"and {_megabytes(SPARE_BYTES)} must stay free. What arrived is kept: free some space, "
                           "then it goes on.")


def keep_spare(more_bytes: int) -> None:
    """Stop as at a full disk before the disk is full: the database needs what is spare.

    Raises:
        OSError: ENOSPC, where storing so much would take of it.
    """
    if more_bytes + SPARE_BYTES > shutil.disk_usage(settings.MEDIA_ROOT).free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(settings.MEDIA_ROOT))


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 2**20:,.0f} MB"
