"""What the same person has already is not sent again; what others have is never told."""

from __future__ import annotations

import json

import pytest

from tests.webapp.collections.pictures import png, zipped
from webapp.collections.deletion import delete_collection, restore_collection, trash_collection
from webapp.collections.models import Collection, Image, Upload
from webapp.collections.pictures import digest


def offer(client, collection, files: dict[str, bytes]):
    told = [[name, len(content), 1000, digest(content)] for name, content in files.items()]
    return client.post("/uploads/claim/", json.dumps({"collection": collection.pk, "files": told}),
                       content_type="application/json")


@pytest.fixture
def other(alice):
    return Collection.objects.create(owner=alice, name="Second trip")


def test_what_this_collection_has_becomes_a_duplicate(signed_in, collection, brought):
    brought("monday/a.png", png(1))
    assert offer(signed_in, collection, {"tuesday/b.png": png(1), "c.png": png(2)}).json() == {"files": [True, False]}
    first, second = collection.images.order_by("number")
    assert (second.path, second.number, second.duplicate_of, second.file) == ("tuesday/b.png", 1, first, first.file)


def test_what_another_collection_of_the_person_has_is_taken_over_for_good(
        signed_in, collection, other, brought, settings, django_capture_on_commit_callbacks):
    brought("a.png", png(1))
    assert offer(signed_in, other, {"trip/b.png": png(1), "trip/c.png": png(1)}).json() == {"files": [True, True]}
    with django_capture_on_commit_callbacks(execute=True):
        delete_collection(collection)
    first, second = other.images.order_by("number")
    assert (first.path, first.duplicate_of, second.duplicate_of) == ("trip/b.png", None, first)
    assert (settings.MEDIA_ROOT / first.file).read_bytes() == png(1)
    assert signed_in.get(f"/media/thumbnails/{first.pk}").status_code == 200


def test_it_is_known_by_its_name_the_next_time(signed_in, collection, brought):
    brought("a.png", png(1))
    offer(signed_in, collection, {"b.png": png(1)})
    asked = {"collection": collection.pk, "files": [["b.png", len(png(1)), 1000]]}
    assert signed_in.post("/uploads/known/", json.dumps(asked), content_type="application/json").json() == {
        "files": ["here"]}


def test_what_somebody_else_has_is_not_known(signed_in, stranger, charlie, collection, brought):
    brought("a.png", png(1))
    theirs = Collection.objects.create(owner=charlie, name="Mine")
    assert offer(stranger, theirs, {"a.png": png(1)}).json() == {"files": [False]}
    assert offer(stranger, collection, {"a.png": png(1)}).status_code == 404
    assert not theirs.images.exists()


def test_what_a_person_may_not_see_any_more_is_not_known(signed_in, alice, collection, other, brought):
    brought("a.png", png(1))
    trash_collection(collection)
    assert offer(signed_in, other, {"a.png": png(1)}).json() == {"files": [False]}
    restore_collection(collection)
    collection.memberships.filter(user=alice).delete()
    assert offer(signed_in, other, {"a.png": png(1)}).json() == {"files": [False]}


def test_an_archive_that_was_read_is_not_sent_again_under_another_name(signed_in, collection, brought):
    content = zipped({"a.png": png(1)})
    upload = brought("trip.zip", content, read=False)
    Upload.objects.update(sha256=digest(content))
    upload.refresh_from_db()
    assert offer(signed_in, collection, {"copy.zip": content}).json() == {"files": [False]}
    from webapp.collections.ingest import read_upload

    read_upload(upload)
    assert offer(signed_in, collection, {"copy.zip": content}).json() == {"files": [True]}
    assert Image.objects.count() == 1


def test_a_stored_file_that_has_gone_is_sent_again(signed_in, collection, other, brought, settings):
    brought("a.png", png(1))
    (settings.MEDIA_ROOT / Image.objects.get().file).unlink()
    assert offer(signed_in, other, {"a.png": png(1)}).json() == {"files": [False]}


def test_a_file_that_is_not_what_was_sent_is_refused(collection, brought):
    upload = brought("a.png", png(1), read=False)
    Upload.objects.update(sha256=digest(png(2)))
    from webapp.collections.ingest import read_upload

    upload.refresh_from_db()
    read_upload(upload)
    assert "send it again" in collection.refusals.get().reason
    assert not Image.objects.exists()


@pytest.mark.parametrize("files", [[["a.png", 1, 1]], [["a.png", 1, 1, "x" * 64]], [["a.png", 1, 1, None]], 7,
                                   [["a.png", 10**30, 1, "0" * 64]], [["a.png", 1, 10**30, "0" * 64]]])
def test_it_names_what_is_wrong_with_an_offer(signed_in, collection, files):
    response = signed_in.post("/uploads/claim/", json.dumps({"collection": collection.pk, "files": files}),
                              content_type="application/json")
    assert response.status_code == 400
    assert "sha256" in response.json()["error"]["fix"]
