"""The disk below the images: when it is full or fails, and what it has before a row says so."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tests.webapp.collections.pictures import png
from webapp.collections import ingest, storage
from webapp.collections.models import Image


def test_a_full_disk_puts_the_upload_back_and_says_so(brought, monkeypatch, settings):
    upload = brought("a.png", png(), read=False)

    def full(name, content, **_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(storage, "write", full)
    ingest.read_upload(upload)
    upload.refresh_from_db()
    assert (upload.status, upload.message) == ("received", ingest.DISK_FULL)
    assert storage.upload_file(upload.pk).exists()
    monkeypatch.undo()
    ingest.read_upload(upload)
    upload.refresh_from_db()
    assert (upload.status, upload.message, Image.objects.count()) == ("done", "", 1)


def test_a_disk_that_fails_puts_the_upload_back_and_says_so(brought, monkeypatch):
    upload = brought("a.png", png(), read=False)

    def failing(name, content, **_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(storage, "write", failing)
    ingest.read_upload(upload)
    upload.refresh_from_db()
    assert upload.status == "received"
    assert "(Read-only file system). Ask its administrator to mend that; reading goes on by itself." in upload.message
    monkeypatch.undo()
    ingest.read_upload(upload)
    upload.refresh_from_db()
    assert (upload.status, upload.message, Image.objects.count()) == ("done", "", 1)


def test_the_disk_has_the_names_of_files_before_a_row_names_them(brought, settings, monkeypatch):
    """After a power cut a row must not name what the folder forgot: the upload it came from is removed by then."""
    fsync, before_rows = os.fsync, set()

    def noting(descriptor):
        if not Image.objects.exists():
            before_rows.add(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    monkeypatch.setattr("webapp.collections.storage.os.fsync", noting)
    brought("a.png", png(1))
    stored = settings.MEDIA_ROOT / Image.objects.get().file
    assert {str(folder) for folder in (settings.MEDIA_ROOT, *list(stored.parents)[:3])} <= before_rows


def test_a_write_that_fails_leaves_nothing_behind(settings, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("webapp.collections.storage.os.fdatasync", full)
    with pytest.raises(OSError, match="No space"):
        storage.write("images/1/aa/x.png", b"content")
    assert [path for path in settings.MEDIA_ROOT.rglob("*") if path.is_file()] == []
