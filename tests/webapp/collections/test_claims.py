"""What the same person has already is not sent again; what others have is never told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.webapp.collections.pictures import png, zipped
from webapp.collections import claims
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
    assert offer(signed_in, collection, {"tuesday/b.png": png(1), "c.png": png(2)}).json() == {"files": [1, 0]}
    first, second = collection.images.order_by("number")
    assert (second.path, second.number, second.duplicate_of, second.file) == ("tuesday/b.png", 1, first, first.file)


def test_what_another_collection_of_the_person_has_is_taken_over_for_good(
        signed_in, collection, other, brought, settings, django_capture_on_commit_callbacks):
    brought("a.png", png(1))
    assert offer(signed_in, other, {"trip/b.png": png(1), "trip/c.png": png(1)}).json() == {"files": [1, 1]}
    with django_capture_on_commit_callbacks(execute=True):
        delete_collection(collection)
    first, second = other.images.order_by("number")
    assert (first.path, first.duplicate_of, second.duplicate_of) == ("trip/b.png", None, first)
    assert (settings.MEDIA_ROOT / first.file).read_bytes() == png(1)
    assert signed_in.get(f"/media/thumbnails/{first.pk}").status_code == 200


def test_it_is_known_by_its_name_the_next_time(signed_in, collection, brought):
    brought("a.png", png(1))
    offer(signed_in, collection, {"b.png": png(1)})
    assert collection.uploads.get(name="b.png").sender == collection.owner
    asked = {"collection": collection.pk, "files": [["b.png", len(png(1)), 1000]]}
    assert signed_in.post("/uploads/known/", json.dumps(asked), content_type="application/json").json() == {
        "files": ["here"]}


def test_what_somebody_else_has_is_not_known(signed_in, stranger, charlie, collection, brought):
    brought("a.png", png(1))
    theirs = Collection.objects.create(owner=charlie, name="Mine")
    assert offer(stranger, theirs, {"a.png": png(1)}).json() == {"files": [0]}
    assert offer(stranger, collection, {"a.png": png(1)}).status_code == 404
    assert not theirs.images.exists()


def test_what_a_person_may_not_see_any_more_is_not_known(signed_in, alice, collection, other, brought):
    brought("a.png", png(1))
    trash_collection(collection)
    assert offer(signed_in, other, {"a.png": png(1)}).json() == {"files": [0]}
    restore_collection(collection)
    collection.memberships.filter(user=alice).delete()
    assert offer(signed_in, other, {"a.png": png(1)}).json() == {"files": [0]}


def test_an_archive_that_was_read_is_not_sent_again_under_another_name(signed_in, collection, brought):
    """Though its sender did not say what it is."""
    content = zipped({"a.png": png(1), "b.png": png(2)})
    upload = brought("trip.zip", content, read=False)
    assert offer(signed_in, collection, {"copy.zip": content}).json() == {"files": [0]}
    from webapp.collections.ingest import read_upload

    read_upload(upload)
    for name in ("copy.zip", "another copy.zip"):
        assert offer(signed_in, collection, {name: content}).json() == {"files": [2]}
    assert Image.objects.count() == 2


def test_an_archive_that_another_collection_of_the_person_has_read_is_taken_over_whole(
        signed_in, collection, other, brought, settings, django_capture_on_commit_callbacks):
    content = zipped({"x/a.png": png(1), "x/.DS_Store": b"Bud1", "x/b.png": png(2), "x/no.jpg": b"no", "c.png": png(1)})
    brought("a.png", png(1))  # so that a member of the archive is a duplicate there
    read = brought("trip.zip", content)
    assert offer(signed_in, other, {"copy.zip": content, "a.png": png(1)}).json() == {"files": [3, 1]}
    with django_capture_on_commit_callbacks(execute=True):
        delete_collection(collection)
    a, b, again, alone = other.images.order_by("number")
    assert [(one.path, one.member, one.duplicate_of) for one in (a, b, again, alone)] == [
        ("x/a.png", 0, None), ("x/b.png", 2, None), ("c.png", 4, a), ("a.png", 0, a)]
    assert (settings.MEDIA_ROOT / a.file).read_bytes() == png(1)
    assert (a.stored_bytes > 0, again.stored_bytes) == (True, 0)
    assert set(other.refusals.values_list("path", "left_out")) == {("x/.DS_Store", True), ("x/no.jpg", False)}
    upload = other.uploads.get(name="copy.zip")
    assert (upload.status, upload.members_total, upload.members_read, upload.message) == (
        "done", 5, 5, read.message)


def test_an_archive_that_is_too_large_to_take_over_or_of_which_an_image_has_gone_is_sent_again(
        signed_in, collection, other, brought, settings, monkeypatch):
    content = zipped({"a.png": png(1), "b.png": png(2)})
    brought("trip.zip", content)
    with monkeypatch.context() as patched:
        patched.setattr(claims, "TAKEN_AT_ONCE", 1)
        assert offer(signed_in, other, {"copy.zip": content}).json() == {"files": [0]}
    first, second = collection.images.all()
    settings.QUOTA_BYTES = 2 * (first.stored_bytes + second.stored_bytes) - 1
    assert offer(signed_in, other, {"copy.zip": content}).json() == {"files": [0]}
    settings.QUOTA_BYTES = 0
    (settings.MEDIA_ROOT / second.file).unlink()
    assert offer(signed_in, other, {"copy.zip": content}).json() == {"files": [0]}
    assert (other.images.count(), other.uploads.count()) == (0, 0)


def test_somebody_else_s_archive_is_not_known(signed_in, stranger, charlie, brought):
    content = zipped({"a.png": png(1)})
    brought("trip.zip", content)
    theirs = Collection.objects.create(owner=charlie, name="Mine")
    assert offer(stranger, theirs, {"trip.zip": content}).json() == {"files": [0]}


def ask(client, collection, sizes: list[int]) -> list[str | None]:
    """Ask for files of these sizes under names that nobody has."""
    asked = {"collection": collection.pk, "files": [[f"{size}.new", size, 1] for size in sizes]}
    return client.post("/uploads/known/", json.dumps(asked), content_type="application/json").json()["files"]


def test_only_what_has_the_size_of_something_here_is_worth_a_digest(
        signed_in, stranger, charlie, collection, other, brought):
    size = len(png(1))
    brought("a.png", png(1), read=False)
    assert ask(signed_in, collection, [size]) == [None]  # nobody has read it yet
    brought("b.png", png(1))
    assert ask(signed_in, collection, [size, size + 1]) == ["perhaps", None]
    assert ask(signed_in, other, [size]) == ["perhaps"]
    assert ask(stranger, Collection.objects.create(owner=charlie, name="Mine"), [size]) == [None]


def test_what_came_within_an_archive_may_be_any_picture(signed_in, collection, brought):
    content = zipped({"a.png": png(1), "b.png": png(2)})
    brought("trip.zip", content)
    assert ask(signed_in, collection, [7, len(content), 2**30]) == ["perhaps", "perhaps", None]


def test_a_stored_file_that_has_gone_is_sent_again(signed_in, collection, other, brought, settings):
    brought("a.png", png(1))
    (settings.MEDIA_ROOT / Image.objects.get().file).unlink()
    assert offer(signed_in, other, {"a.png": png(1)}).json() == {"files": [0]}


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


def test_a_collection_that_is_deleted_meanwhile_is_said_to_be_and_nothing_of_it_stays(
        signed_in, collection, other, brought, settings, monkeypatch):
    brought("a.png", png(1))

    # between the links and the rows
    monkeypatch.setattr(claims.storage, "settle", lambda _names: Collection.objects.filter(pk=other.pk).delete())
    said = signed_in.post("/uploads/claim/", json.dumps({"collection": other.pk, "files": [
        ["b.png", 1, 1, digest(png(1))]]}), content_type="application/json")
    assert (said.status_code, "was deleted meanwhile" in said.content.decode()) == (404, True)
    assert not list(Path(settings.MEDIA_ROOT).glob(f"images/{other.pk}/**/*.png"))
    assert (Path(settings.MEDIA_ROOT) / collection.images.get().file).exists(), "what it was linked from stays"
