"""Room for more files: what a person may store, and what the server's disk still holds."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.db.models import Sum

from webapp.collections.models import Image, Upload
from webapp.collections.tus import Refused

SPARE_BYTES = 200 * 1024**2
"""Disk space that uploads leave free: a database and a checkpoint need to be written too."""
ARRIVING = (Upload.Status.RECEIVING, Upload.Status.RECEIVED, Upload.Status.READING)


@dataclass(frozen=True)
class Share:
    """What of a person's quota is used.

    Attributes:
        used_bytes: stored images with their thumbnails, and all of what is announced but not read yet.
        quota_bytes: what they may store; 0 where there is no bound.
    """

    used_bytes: int
    quota_bytes: int

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
    if not settings.QUOTA_BYTES:
        return Share(0, 0)
    stored = Image.objects.filter(collection__owner=person).aggregate(sum=Sum("stored_bytes"))["sum"] or 0
    arriving = Upload.objects.filter(collection__owner=person, status__in=ARRIVING)
    if besides is not None:
        arriving = arriving.exclude(pk=besides.pk)
    return Share(stored + (arriving.aggregate(sum=Sum("size_bytes"))["sum"] or 0), settings.QUOTA_BYTES)


def check_quota(person: AbstractBaseUser, more_bytes: int) -> None:
    """Refuse (413) what the person may not store any more."""
    now = share(person)
    if now.left_bytes is not None and more_bytes > now.left_bytes:
        raise Refused(413, f"You may store {_megabytes(now.quota_bytes)} and use {_megabytes(now.used_bytes)}; "
                           f"this needs {_megabytes(more_bytes)} more. "
                           "Delete a collection for good, or ask the administrator for more.")


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
