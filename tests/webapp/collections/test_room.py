"""Quotas and the disk: refused before the first byte, put back while reading, gone on with when there is room."""

from __future__ import annotations

import importlib
import json
from collections import namedtuple

import pytest
from django.apps import apps
from django.db.models import Sum
from django.utils import timezone
from django.utils.html import strip_tags

from tests.webapp.collections.pictures import pixels, png, saved, zipped
from webapp.collections import room, storage
from webapp.collections.deletion import delete_collection, trash_collection
from webapp.collections.ingest import DISK_FULL, read_upload
from webapp.collections.models import Collection, Image, Upload
from webapp.collections.pictures import digest
from webapp.collections.uploads import GIVEN_UP_HALF_WAY, give_up_waiting
from webapp.runs.models import Run


def ask(client, collection, size_bytes):
    return client.post("/uploads/room/", json.dumps({"collection": collection.pk, "bytes": size_bytes}),
                       content_type="application/json")


@pytest.fixture
def one(collection, brought):
    """Bring one image; return its row."""
    brought("a.png", png(1))
    return Image.objects.get()


def test_what_is_stored_is_counted_once(settings, alice, one, brought):
    settings.QUOTA_BYTES = 10**6
    files = [settings.MEDIA_ROOT / name for name in (one.file, one.thumbnail)]
    assert one.stored_bytes == sum(file.stat().st_size for file in files)
    brought("copy.png", png(1))
    assert room.share(alice).used_bytes == one.stored_bytes
    brought("waits.png", png(2), read=False)
    assert room.share(alice).used_bytes == one.stored_bytes + len(png(2))


def test_a_drop_beyond_the_quota_is_refused_before_the_first_byte(signed_in, settings, collection, one):
    assert ask(signed_in, collection, 10**15).status_code == 507  # no quota; but the disk ends somewhere
    settings.QUOTA_BYTES = one.stored_bytes + 1000
    assert ask(signed_in, collection, 1000).status_code == 200
    refused = ask(signed_in, collection, 1001)
    assert refused.status_code == 413
    assert "Delete a collection or runs for good" in refused.json()["error"]["reason"]
    announced = signed_in.post("/uploads/", headers={
        "Tus-Resumable": "1.0.0", "Upload-Length": "1001", "Upload-Metadata": f"collection {_base64(collection.pk)}"})
    assert announced.status_code == 413
    assert Upload.objects.count() == 1


def _base64(value: object) -> str:
    import base64

    return base64.b64encode(str(value).encode()).decode()


def test_what_runs_hold_is_counted_and_named(signed_in, settings, alice, collection, one):
    settings.QUOTA_BYTES = 100 * 2**20
    Collection.objects.update(images_bytes=20 * 2**20)
    Run.objects.create(collection=collection, owner=alice, method="must", stored_bytes=50 * 2**20)
    Run.objects.create(collection=collection, owner=alice, method="must", stored_bytes=10 * 2**20, status="failed",
                       error="x", finished_at=timezone.now(), trashed_at=timezone.now())
    Collection.objects.update(features_bytes=5 * 2**20)
    trash_collection(Collection.objects.create(owner=alice, name="Old", features_bytes=2**20))
    now = room.share(alice)
    assert now == room.shares([alice.pk])[alice.pk]
    assert [(name, size / 2**20) for name, size in now.parts] == [
        ("runs", 60), ("images", 20), ("stored features", 6)]
    assert (now.used_bytes, now.percent, now.left_bytes) == (86 * 2**20, 86, 14 * 2**20)
    refused = ask(signed_in, collection, 15 * 2**20)
    assert refused.status_code == 413
    assert ("The quota of alice is 100 MB, of which 86 MB are used (runs 60 MB, images 20 MB, stored features 6 MB); "
            "this needs 15 MB more") in refused.json()["error"]["reason"]
    page = strip_tags(signed_in.get("/").content.decode()).replace("\xa0", " ")
    assert "86.0 MB of your 100.0 MB used:runs 60.0 MB, images 20.0 MB, stored features 6.0 MB" in page


def test_a_quota_is_ones_own(settings, charlie, one):
    settings.QUOTA_BYTES = one.stored_bytes
    assert room.share(charlie).used_bytes == 0
    room.check_quota(charlie, one.stored_bytes)


def test_an_archive_that_unpacks_beyond_the_quota_waits_and_goes_on(settings, collection, alice, one, brought):
    content = zipped({f"{number}.png": saved(pixels(number, 64)) for number in range(2, 8)})
    upload = brought("trip.zip", content, read=False)
    settings.QUOTA_BYTES = one.stored_bytes + len(saved(pixels(2, 64))) * 4
    read_upload(upload)
    upload.refresh_from_db()
    assert upload.status == "received"
    assert "space is used up" in upload.message
    assert 0 < upload.images.count() < 6
    settings.QUOTA_BYTES = 10**6
    read_upload(upload)
    upload.refresh_from_db()
    assert (upload.status, upload.images.count()) == ("done", 6)


def test_an_archive_that_unpacks_beyond_the_quota_can_be_given_up(settings, collection, alice, one, brought):
    content = zipped({".DS_Store": b"x", **{f"{number}.png": saved(pixels(number, 64)) for number in range(2, 8)}})
    upload = brought("trip.zip", content, read=False)
    settings.QUOTA_BYTES = one.stored_bytes + len(saved(pixels(2, 64))) * 4
    read_upload(upload)
    assert storage.upload_file(upload.pk).exists()
    assert give_up_waiting(collection) == 1
    upload.refresh_from_db()
    assert (upload.status, storage.upload_file(upload.pk).exists()) == ("refused", False)
    assert [(one.path, one.reason) for one in collection.refusals.filter(left_out=False)] == [
        ("trip.zip", GIVEN_UP_HALF_WAY)]
    assert upload.images.count() > 0
    assert give_up_waiting(collection) == 0


def test_taking_over_ends_at_the_quota(signed_in, settings, alice, one):
    other = Collection.objects.create(owner=alice, name="Second trip")
    offered = {"collection": other.pk, "files": [["b.png", 1, 1, digest(png(1))]]}
    settings.QUOTA_BYTES = 2 * one.stored_bytes - 1

    def claimed():
        return signed_in.post("/uploads/claim/", json.dumps(offered), content_type="application/json").json()

    assert claimed() == {"files": [False]}
    settings.QUOTA_BYTES += 1
    assert claimed() == {"files": [True]}
    assert room.share(alice).percent == 100


def test_deleting_frees_space(settings, alice, collection, one):
    settings.QUOTA_BYTES = 1000
    delete_collection(collection)
    assert room.share(alice).used_bytes == 0


def test_a_disk_that_fills_between_chunks_takes_no_more_until_there_is_space(signed_in, collection, monkeypatch):
    upload = Upload.objects.create(collection=collection, name="a.png", size_bytes=8, received_bytes=0)
    address = f"/uploads/{upload.pk}"

    def send(at: int, body: bytes):
        return signed_in.patch(address, body, content_type="application/offset+octet-stream",
                               headers={"Tus-Resumable": "1.0.0", "Upload-Offset": str(at)})

    assert send(0, b"0123").status_code == 204
    full = namedtuple("usage", "total used free")(10**9, 10**9, room.SPARE_BYTES)
    with monkeypatch.context() as patched:
        patched.setattr("webapp.collections.room.shutil.disk_usage", lambda _: full)
        response = send(4, b"4567")
        assert response.status_code == 507
        assert b"then it goes on" in response.content
    assert send(4, b"4567").status_code == 204


def test_the_bar_is_shown_where_there_is_a_quota(signed_in, settings, one):
    assert "Your space" not in signed_in.get("/").content.decode()
    settings.QUOTA_BYTES = 2 * one.stored_bytes
    assert 'value="50" max="100"' in signed_in.get("/").content.decode()


def test_what_is_read_stops_before_the_disk_is_full_and_goes_on(brought, monkeypatch):
    monkeypatch.setattr(room, "SPARE_BYTES", 10**18)
    upload = brought("a.png", png(1))
    assert (upload.status, upload.message) == ("received", DISK_FULL)
    monkeypatch.setattr(room, "SPARE_BYTES", 0)
    read_upload(upload)
    upload.refresh_from_db()
    assert (upload.status, upload.images.count()) == ("done", 1)


def test_images_of_an_earlier_version_are_measured(one):
    stored_bytes = one.stored_bytes
    Image.objects.update(stored_bytes=0)
    importlib.import_module("webapp.collections.migrations.0005_image_stored_bytes").measure(apps, None)
    one.refresh_from_db()
    assert one.stored_bytes == stored_bytes


def test_what_a_collection_holds_is_the_sum_of_its_images_each_picture_once(brought, collection):
    brought("a.png", png(1))
    brought("more.zip", zipped({"a.png": png(1), "b.png": png(2), "c.png": png(3)}))
    stored_bytes = collection.images.aggregate(sum=Sum("stored_bytes"))["sum"]
    for _ in range(2):
        collection.refresh_from_db()
        assert collection.images_bytes == stored_bytes > 0
        Collection.objects.update(images_bytes=0)  # as before there was this sum
        importlib.import_module("webapp.collections.migrations.0011_collection_images_bytes").add_up(apps, None)


def test_others_may_not_ask(stranger, collection):
    assert ask(stranger, collection, 1).status_code == 404


@pytest.mark.parametrize("size", ["1e999", str(10**400), "NaN", "[]"])
def test_it_names_what_is_no_number_of_bytes(signed_in, collection, size):
    response = signed_in.post("/uploads/room/", f'{{"collection": {collection.pk}, "bytes": {size}}}',
                              content_type="application/json")
    assert response.status_code == 400
    assert "bytes" in response.json()["error"]["fix"]
