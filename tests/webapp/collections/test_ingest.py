"""Reading uploads: what becomes an image, what is refused and why, and reading twice."""

from __future__ import annotations

import errno
import fcntl
import gzip
import io
import os
import signal
import subprocess
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from PIL import Image as Picture

from tests.webapp.collections.pictures import pixels, png, saved, turned, zipped
from webapp.collections import ingest, pictures, shelf, storage
from webapp.collections.models import Image, Refusal, Upload
from webapp.collections.uploads import GIVEN_UP_HALF_WAY, give_up_waiting


def opened(settings, name: str) -> Picture.Image:
    with Picture.open(settings.MEDIA_ROOT / name) as image:
        image.load()
        return image


def test_an_image_is_kept_as_it_was_sent_with_a_thumbnail(brought, settings):
    content = saved(pixels(side=600), "JPEG")
    upload = brought("trip/a.jpg", content)
    image = Image.objects.get()
    assert (image.path, image.number, image.width_px, image.height_px) == ("trip/a.jpg", 0, 600, 600)
    assert (settings.MEDIA_ROOT / image.file).read_bytes() == content
    assert opened(settings, image.thumbnail).size == (256, 256)
    assert (upload.status, upload.members_read) == ("done", 1)
    assert not storage.upload_file(upload.pk).exists()


@pytest.mark.parametrize("content", [png(1), b"no picture"], ids=["an image", "refused"])
def test_a_message_that_comes_again_after_the_reading_changes_nothing(brought, content):
    upload = brought("a.png", content)
    before = (upload.status, upload.message, list(Image.objects.values()), list(Refusal.objects.values()))
    stale = Upload.objects.get()
    stale.status = "received"  # as it was when the second message's worker read the row
    for one in (Upload.objects.get(), stale):
        ingest.read_upload(one)
    upload.refresh_from_db()
    assert (upload.status, upload.message, list(Image.objects.values()), list(Refusal.objects.values())) == before


def test_a_file_that_is_gone_before_it_was_read_is_refused(brought, collection):
    upload = Upload.objects.create(collection=collection, name="lost.png", size_bytes=3, received_bytes=3,
                                   status="received")
    ingest.read_upload(upload)
    upload.refresh_from_db()
    assert (upload.status, Refusal.objects.get().path) == ("refused", "lost.png")
    assert "gone from the server's disk; send it again" in upload.message


def test_exif_is_applied_once_for_image_and_thumbnail_alike(brought, settings):
    content, upright = turned()
    brought("turned.jpg", content)
    image = Image.objects.get()
    assert (image.width_px, image.height_px) == upright.size == (32, 48)
    for name in (image.file, image.thumbnail):
        kept = opened(settings, name)
        assert kept.size == upright.size
        assert kept.getexif().get(0x0112, 1) == 1
        difference = np.abs(np.asarray(kept.convert("RGB"), int) - np.asarray(upright, int)).mean()
        assert difference < 12, name


def test_damaged_exif_counts_as_none(brought):
    content = png(1)
    exif = b"eXIf" + b"MM\xff\0\0\0\0\x08\0\0"
    chunk = (len(exif) - 4).to_bytes(4, "big") + exif + zlib.crc32(exif).to_bytes(4, "big")
    upload = brought("odd.png", content[:33] + chunk + content[33:])
    assert upload.status == "done"
    assert Image.objects.get().file.endswith(".png")


def test_an_animation_that_claims_to_be_longer_than_a_jpeg_can_be_is_kept_as_png(brought):
    content = bytearray(saved(pixels(1), "WEBP", save_all=True, append_images=[pixels(2)]))
    assert content[12:16] == b"VP8X"
    content[24:27] = (65_536 - 1).to_bytes(3, "little")
    upload = brought("long.webp", bytes(content))
    assert upload.status == "done"
    assert Image.objects.get().file.endswith(".png")


def test_a_picture_that_ends_its_reader_is_refused_by_name_the_fourth_time(brought, collection, monkeypatch):
    """The rest of the archive is read: before, it was sent to the next worker, and ended that, for ever."""
    def crash(content: bytes, name: str) -> pictures.Kept:
        if name == "evil.png":
            raise SystemExit  # stands for the process that goes
        return pictures.keep(content, name)

    monkeypatch.setattr(shelf, "keep", crash)
    upload = brought("trip.zip", zipped({"a.png": png(1), "evil.png": png(2), "b.png": png(3)}), read=False)
    for _ in range(3):
        with pytest.raises(SystemExit):
            ingest.read_upload(upload)
        upload.refresh_from_db()
        assert upload.status == "reading"
    ingest.read_upload(upload)
    upload.refresh_from_db()
    assert upload.status == "done"
    assert set(Image.objects.values_list("path", flat=True)) == {"a.png", "b.png"}
    refusal = Refusal.objects.get()
    assert refusal.path == "evil.png"
    assert "ended 3 times while it read this one" in refusal.reason
    assert not storage.reading_note(upload.pk).exists()


def test_a_picture_that_takes_for_ever_ends_its_reader_and_not_the_machine(tmp_path):
    note = tmp_path / "7.reading"
    code = ("from pathlib import Path; from webapp.collections import hazard; hazard.READING_SECONDS = 0.2\n"
            f"with hazard.at_hand(Path({str(note)!r}), 5, 'slow.jpg'):\n"
            "    while True: pass\n")
    ended = subprocess.run([sys.executable, "-c", code], check=False, timeout=200).returncode
    assert ended == -signal.SIGPROF
    assert note.read_text() == "5 1\n"


def test_names_of_any_bytes_are_stored(brought):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT, encoding="latin-1") as archive:
        for name in ("caf\u00e9.png", "caf\u00e9.txt"):
            entry = tarfile.TarInfo(name)
            entry.size = len(png(1))
            archive.addfile(entry, io.BytesIO(png(1) if name.endswith("png") else bytes(len(png(1)))))
    brought("trip.tar", out.getvalue())
    assert Image.objects.get().path == "caf\ufffd.png"
    assert Refusal.objects.get().path == "caf\ufffd.txt"


@pytest.mark.parametrize(("name", "content"), [
    ("cmyk.jpg", saved(pixels().convert("CMYK"), "JPEG")),
    ("deep.png", saved(Picture.fromarray((np.arange(576).reshape(24, 24) * 113).astype(np.uint16)))),
    ("palette.png", saved(pixels().convert("P"), transparency=0)),
    ("alpha.png", saved(pixels().convert("RGBA"))),
    ("moving.gif", saved(pixels(1), "GIF", save_all=True, append_images=[pixels(2)])),
    ("one.tiff", saved(pixels(), "TIFF")),
    ("one.webp", saved(pixels(), "WEBP")),
    ("digit.png", saved(Picture.fromarray(np.zeros((8, 8), np.uint8)))),
])
def test_unusual_images_work(brought, settings, name, content):
    brought(name, content)
    assert not Refusal.objects.exists()
    image = Image.objects.get()
    assert image.file.endswith((".png", ".jpg"))
    kept = opened(settings, image.file)
    assert kept.mode in ("RGB", "L")
    assert kept.size == (image.width_px, image.height_px)


@pytest.mark.parametrize(("name", "content", "words"), [
    ("notes.txt", b"not an image", "not an image"),
    ("empty.png", b"", "empty file"),
    ("drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
    ("page.jpg", b"<!doctype html><title>404</title>", "web page"),
    ("cut.jpg", saved(pixels(side=200), "JPEG")[:2000], "damaged"),
    ("noise.zip", b"this is no zip at all", "neither a zip nor a tar"),
])
def test_what_cannot_be_used_is_refused_by_name_with_the_reason(brought, collection, name, content, words):
    upload = brought(name, content)
    refusal = Refusal.objects.get()
    assert refusal.path == name
    assert words in refusal.reason
    assert upload.status == "refused"
    assert words in upload.message or not upload.message
    assert not collection.images.exists()


def test_one_bad_file_does_not_stop_an_archive(brought):
    upload = brought("trip.zip", zipped({
        "a.png": png(1), "sub/broken.jpg": saved(pixels(side=200), "JPEG")[:2000], "__MACOSX/._a.png": b"x",
        ".DS_Store": b"x", "b.png": png(2), "labels.csv": b"a,b"}))
    assert list(Image.objects.values_list("number", "path")) == [(0, "a.png"), (1, "b.png")]
    refused = Refusal.objects.filter(left_out=False)
    assert set(refused.values_list("path", flat=True)) == {"sub/broken.jpg", "labels.csv"}
    assert (upload.status, upload.message) == ("done", "2 hidden files of the operating system left out.")


def test_it_reads_tar_archives(brought):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for number in range(3):
            entry = tarfile.TarInfo(f"{number}.png")
            entry.size = len(png(number))
            archive.addfile(entry, io.BytesIO(png(number)))
    brought("trip.tar.gz", out.getvalue())
    assert Image.objects.count() == 3


def test_a_member_that_points_outside_is_refused_and_written_nowhere(brought, home):
    brought("evil.zip", zipped({"../../evil.png": png(1), "/abs.png": png(2), "good.png": png(3)}))
    assert list(Image.objects.values_list("path", flat=True)) == ["good.png"]
    assert set(Refusal.objects.values_list("path", flat=True)) == {"../../evil.png", "/abs.png"}
    assert not list(home.parent.rglob("evil.png"))


def test_a_zip_bomb_is_refused_whole(brought):
    bomb = zipped({f"{number}.png": bytes(60_000_000) for number in range(3)}, zipfile.ZIP_DEFLATED)
    upload = brought("bomb.zip", bomb)
    assert upload.status == "refused"
    assert "times its size" in upload.message
    assert not Image.objects.exists()
    assert not storage.upload_file(upload.pk).exists()


def test_a_tar_bomb_is_refused_too(brought):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for number in range(3):
            entry = tarfile.TarInfo(f"{number}.png")
            entry.size = 60_000_000
            archive.addfile(entry, io.BytesIO(bytes(entry.size)))
    upload = brought("bomb.tar.gz", gzip.compress(out.getvalue(), 6))
    assert upload.status == "refused"
    assert "times its size" in upload.message


@pytest.mark.parametrize("ending", [0.5, 0.9])
def test_a_cut_off_archive_is_refused_in_words(brought, ending):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for number in range(4):
            content = saved(pixels(number, 120))
            entry = tarfile.TarInfo(f"{number}.png")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    upload = brought("cut.tar.gz", out.getvalue()[:int(len(out.getvalue()) * ending)])
    assert upload.status == "refused"
    assert "kept" in Refusal.objects.get(path="cut.tar.gz").reason or not Image.objects.exists()


def test_an_empty_archive_says_so(brought):
    assert "there is no file in it" in brought("empty.zip", zipped({})).message


@pytest.mark.parametrize("sent", [{"a.png": png(1)}, {"b.png": png(2), "c.png": png(1)}])
def test_no_question_asked_for_each_file_goes_through_the_whole_collection(brought, sent):
    brought("first.zip", zipped({"a.png": png(1)}))
    with CaptureQueriesContext(connection) as asked:
        brought("more.zip", zipped(sent))
    about_content = [one["sql"] for one in asked.captured_queries
                     if one["sql"].startswith("SELECT") and '"sha256" ' in one["sql"].partition("WHERE")[2]]
    assert len(about_content) >= len(sent)
    with connection.cursor() as cursor:
        for sql in about_content:
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
            assert "sha256=?" in str(cursor.fetchall()), sql


def test_exact_duplicates_are_linked_and_share_their_files(brought):
    brought("a.png", png(1))
    brought("more.zip", zipped({"b.png": png(1), "c.png": png(2), "d.png": png(2)}))
    a, b, c, d = Image.objects.order_by("number")
    assert (a.duplicate_of, b.duplicate_of, c.duplicate_of, d.duplicate_of) == (None, a, None, c)
    assert b.file == a.file
    assert b.path == "b.png"


def test_the_same_name_in_two_folders_is_two_images(brought):
    brought("x.zip", zipped({"one/a.png": png(1), "two/a.png": png(2)}))
    assert set(Image.objects.values_list("path", flat=True)) == {"one/a.png", "two/a.png"}


def test_reading_twice_stores_once(brought):
    content = zipped({f"{number}.png": png(number) for number in range(5)} | {"notes.txt": b"x"})
    upload = brought("trip.zip", content)
    storage.upload_file(upload.pk).write_bytes(content)
    Upload.objects.update(status=Upload.Status.READING)  # a worker that died before its last write
    ingest.read_upload(upload)
    assert list(Image.objects.values_list("number", flat=True)) == [0, 1, 2, 3, 4]
    assert Refusal.objects.count() == 1
    assert Upload.objects.get().status == "done"


def test_a_worker_that_died_half_way_is_gone_on_from(brought, monkeypatch):
    content = zipped({f"{number}.png": png(number) for number in range(6)})
    monkeypatch.setattr(shelf, "BATCH", 2)
    keep, seen = shelf.keep, []

    def dying(content, name):
        if name == "4.png" and not seen:
            seen.append(name)
            raise KeyboardInterrupt
        return keep(content, name)

    monkeypatch.setattr(shelf, "keep", dying)
    upload = brought("trip.zip", content, read=False)
    with pytest.raises(KeyboardInterrupt):
        ingest.read_upload(upload)
    assert (Image.objects.count(), Upload.objects.get().status) == (4, "reading")
    ingest.read_upload(upload)
    assert list(Image.objects.values_list("path", flat=True)) == [f"{number}.png" for number in range(6)]


def test_two_workers_do_not_read_the_same_upload(brought):
    upload = brought("a.png", png(), read=False)
    with storage.upload_file(upload.pk).open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        ingest.read_upload(upload)
        assert not Image.objects.exists()
    ingest.read_upload(upload)
    assert Image.objects.count() == 1


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


def test_an_archive_that_is_given_up_while_it_is_read_is_read_no_further(brought, collection, monkeypatch):
    """What was read stays, and is not brought twice when the archive is sent again."""
    monkeypatch.setattr(shelf, "BATCH", 2)
    keep, read = shelf.keep, []

    def giving_up(content, name):
        read.append(name)
        if name == "3.png":
            assert give_up_waiting(collection) == 1
        return keep(content, name)

    content = zipped({f"{number}.png": png(number) for number in range(9)})
    with monkeypatch.context() as patched:
        patched.setattr(shelf, "keep", giving_up)
        upload = brought("trip.zip", content)
    assert read == [f"{number}.png" for number in range(4)]
    assert list(Image.objects.values_list("path", flat=True)) == read
    assert (upload.status, storage.upload_file(upload.pk).exists()) == ("refused", False)
    assert [(one.path, one.reason) for one in Refusal.objects.all()] == [("trip.zip", GIVEN_UP_HALF_WAY)]
    again = brought("copy of trip.zip", content)
    assert list(Image.objects.values_list("path", flat=True)) == [f"{number}.png" for number in range(9)]
    assert (again.status, again.members_read, again.images.count()) == ("done", 9, 9)
    assert not Image.objects.exclude(duplicate_of=None).exists()
    assert (Upload.objects.get(), Refusal.objects.count()) == (again, 0)


def test_an_upload_whose_row_goes_while_it_is_read_is_read_no_further(brought, collection, monkeypatch, settings):
    """As when it was given up and is sent again before its reader has noticed."""
    keep = shelf.keep

    def forgetting(content, name):
        Upload.objects.all().delete()
        return keep(content, name)

    monkeypatch.setattr(shelf, "keep", forgetting)
    upload = brought("a.zip", zipped({"a.png": png(1), "b.png": png(2)}), read=False)
    ingest.read_upload(upload)
    assert not Image.objects.exists()
    assert not list(settings.UPLOADS_ROOT.iterdir())


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


def test_a_collection_deleted_meanwhile_leaves_no_files(brought, collection, settings, monkeypatch):
    upload = brought("a.zip", zipped({"a.png": png(1), "b.png": png(2)}), read=False)
    keep = shelf.keep

    def deleting(content, name):
        type(collection).objects.filter(pk=collection.pk).delete()
        return keep(content, name)

    monkeypatch.setattr(shelf, "keep", deleting)
    ingest.read_upload(upload)
    assert [path for path in settings.MEDIA_ROOT.rglob("*") if path.is_file()] == []
    assert not storage.upload_file(upload.pk).exists()


def test_a_vanished_file_is_said_to_be_gone(brought):
    upload = brought("a.png", png(), read=False)
    storage.forget_upload(upload.pk)
    ingest.read_upload(upload)
    upload.refresh_from_db()
    assert upload.status == "refused"
    assert "send it again" in upload.message


def test_numbers_go_on_over_several_uploads(brought):
    for number in range(3):
        brought(f"{number}.png", png(number))
    assert list(Image.objects.values_list("number", flat=True)) == [0, 1, 2]
