"""Reading an upload: what it comes to, what is refused, and reading it twice, half, or no further."""

from __future__ import annotations

import fcntl

import pytest

from tests.webapp.collections.pictures import pixels, png, saved, zipped
from webapp.collections import ingest, shelf, storage
from webapp.collections.models import Image, Refusal, Upload
from webapp.collections.uploads import GIVEN_UP_HALF_WAY, give_up_waiting


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


def test_a_vanished_file_is_said_to_be_gone(brought):
    upload = brought("a.png", png(), read=False)
    storage.forget_upload(upload.pk)
    ingest.read_upload(upload)
    upload.refresh_from_db()
    assert upload.status == "refused"
    assert "send it again" in upload.message


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
