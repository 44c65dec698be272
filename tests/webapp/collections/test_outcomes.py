"""What became of every file: listed with reasons, filtered, counted and downloaded."""

from __future__ import annotations

import csv
import json
from contextlib import suppress
from io import StringIO

import pytest

from tests.webapp.collections.pictures import png, zipped
from tests.webapp.collections.test_uploads import announce
from webapp.collections import hazard, pictures
from webapp.collections.ingest import read_upload
from webapp.collections.models import Collection, Image, Refusal, Upload
from webapp.collections.shelf import OF_THE_MACHINE


@pytest.fixture
def trip(collection, brought):
    """Two folders with a file of the same name in each, a copy, a broken file, and what systems leave behind."""
    brought("trip.zip", zipped({
        "monday/1.png": png(1), "tuesday/1.png": png(2), "tuesday/copy.png": png(1),
        "tuesday/broken.jpg": b"\xff\xd8\xff",
        "__MACOSX/monday/._1.png": b"x", "monday/Thumbs.db": b"x", "tuesday/@eaDir/1.png": png(3)}))
    Upload.objects.create(collection=collection, name="later.zip", size_bytes=1000, received_bytes=400)
    return collection


def listed(client, collection, query: str = "") -> list[dict[str, str]]:
    response = client.get(f"/collections/{collection.pk}/files.csv?{query}")
    return list(csv.DictReader(StringIO(response.content.decode())))


def test_every_file_has_an_outcome_and_its_reason(signed_in, trip):
    rows = {row["path"]: (row["outcome"], row["reason"]) for row in listed(signed_in, trip)}
    hidden = ("left out", "a hidden file of the operating system")
    assert rows.pop("tuesday/broken.jpg")[0] == "refused"
    assert rows == {
        "monday/1.png": ("image", ""), "tuesday/1.png": ("image", ""),
        "tuesday/copy.png": ("duplicate", "the very same picture as monday/1.png"),
        "__MACOSX/monday/._1.png": hidden, "monday/Thumbs.db": hidden, "tuesday/@eaDir/1.png": hidden,
        "later.zip": ("not here yet", "only a part of it has arrived; send it again and it goes on from there")}


@pytest.mark.parametrize(("query", "count"), [
    ("show=images", 2), ("show=duplicates", 1), ("show=refused", 1), ("show=left-out", 3), ("show=arriving", 1),
    ("find=tuesday/", 4), ("show=images&find=tuesday/", 1), ("find=nowhere", 0)])
def test_it_is_filtered_on_the_page_as_in_the_file(signed_in, trip, query, count):
    assert len(listed(signed_in, trip, query)) == count
    page = signed_in.get(f"/collections/{trip.pk}/files/?{query}").content.decode()
    assert page.count('<li><span class="badge') == count
    assert signed_in.get(f"/collections/{trip.pk}/files/?show=everything").status_code == 404


def test_what_systems_leave_behind_is_counted_apart_from_what_failed(signed_in, trip):
    page = signed_in.get(f"/collections/{trip.pk}/images/").content.decode()
    assert "<strong>1 file</strong> could not be used" in page
    assert "3 left out" in page
    shown = signed_in.get(f"/api/v1/collections/{trip.pk}").json()
    assert (shown["refusal_count"], shown["left_out_count"]) == (1, 3)


def test_an_image_says_from_which_folder_it_came(signed_in, trip):
    page = signed_in.get(f"/collections/{trip.pk}/images/1/").content.decode()
    assert "?find=tuesday/" in page


def test_no_cell_is_taken_for_a_formula(signed_in, collection, brought):
    brought("=cmd|notes.txt", b"no image")
    assert listed(signed_in, collection)[0]["path"] == "'=cmd|notes.txt"


def test_a_refused_file_sent_again_is_judged_anew(collection, brought):
    for _ in range(2):
        brought("broken.jpg", b"\xff\xd8\xff")
    assert Refusal.objects.count() == 1
    assert Upload.objects.count() == 1


def is_here(client, collection: Collection, content: bytes) -> tuple[str | None, int]:
    """Return what a browser is told that has an archive of this content: of its name and time, then of its digest."""
    file = ["trip.zip", len(content), 1000]
    known, claimed = (client.post(f"/uploads/{question}/", json.dumps({"collection": collection.pk, "files": [one]}),
                                  content_type="application/json").json()["files"][0]
                      for question, one in (("known", file), ("claim", [*file, pictures.digest(content)])))
    return known, claimed


def test_what_ended_its_reader_is_read_when_its_archive_is_sent_again(
        signed_in, collection, alice, brought, monkeypatch):
    content = zipped({"._a.png": b"x", "a.png": png(1), "b.png": png(2), "notes.txt": b"no image", "c.png": png(3)})
    other = Collection.objects.create(owner=alice, name="Second trip")

    def crash(content: bytes, name: str) -> pictures.Kept:
        if name == "b.png":
            raise SystemExit  # stands for the process that goes
        return pictures.keep(content, name)

    with monkeypatch.context() as failing:
        failing.setattr("webapp.collections.shelf.keep", crash)
        upload = brought("trip.zip", content, read=False)
        Upload.objects.update(modified_ms=1000)
        while Upload.objects.get().status != "done":
            with suppress(SystemExit):
                read_upload(upload)
    assert set(Refusal.objects.filter(left_out=False).values_list("path", flat=True)) == {"b.png", "notes.txt"}
    assert is_here(signed_in, collection, content) == is_here(signed_in, other, content) == ("perhaps", 0)

    address = announce(signed_in, collection, len(content), "trip.zip", content, modified="1000")["Location"]
    again = Upload.objects.get(status="received")
    assert address.endswith(str(again.pk))
    read_upload(again)
    assert list(Image.objects.values_list("number", "path", "duplicate_of")) == [
        (0, "a.png", None), (1, "c.png", None), (2, "b.png", None)]
    assert dict(Refusal.objects.values_list("path", "left_out")) == {"._a.png": True, "notes.txt": False}
    assert Upload.objects.get() == again
    assert is_here(signed_in, collection, content) == ("here", 3)
    assert is_here(signed_in, other, content) == ("perhaps", 3)


def test_an_archive_that_another_collection_has_read_to_its_end_brings_what_this_one_lacks_only_when_it_is_sent(
        signed_in, collection, alice, brought):
    """Taken over, all of it would come, and most of it twice."""
    content = zipped({"a.png": png(1), "b.png": png(2)})
    brought("trip.zip", content)
    Image.objects.get(path="b.png").delete()
    collection.refusals.create(upload=Upload.objects.get(), member=1, path="b.png", reason=hazard.REASON)
    brought("trip.zip", content, into=Collection.objects.create(owner=alice, name="Second trip"))
    assert is_here(signed_in, collection, content) == ("perhaps", 0)


def no_memory(*_: object) -> None:
    raise MemoryError


@pytest.mark.parametrize(("patched", "stand_in", "content"), [
    ("core.data.decoding._upright", no_memory, png(1)),
    ("core.data.decoding.importlib.util.find_spec", lambda _: None, b"\0\0\0\x18ftypheic")])
def test_what_another_machine_may_read_is_told_from_what_none_can(collection, brought, monkeypatch, patched, stand_in,
                                                                  content):
    monkeypatch.setattr(patched, stand_in)
    brought("a.png", content)
    brought("notes.txt", b"no image")
    assert Refusal.objects.get(OF_THE_MACHINE).path == "a.png"


def test_hidden_files_need_not_be_sent_and_are_noted_once(signed_in, collection):
    asked = {"collection": collection.pk, "files": [
        ["trip/.DS_Store", 6148, 1], ["trip/desktop.ini", 10, 1], ["trip/a.png", 10, 1]]}
    for _ in range(2):
        answer = signed_in.post("/uploads/known/", json.dumps(asked), content_type="application/json").json()
        assert answer == {"files": ["left out", "left out", None]}
    assert set(Refusal.objects.filter(left_out=True).values_list("path", flat=True)) == {
        "trip/.DS_Store", "trip/desktop.ini"}


def test_a_hidden_file_that_is_sent_all_the_same_is_left_out(collection, brought):
    upload = brought("trip/._a.png", png(1))
    assert upload.status == "done"
    assert Refusal.objects.get().left_out
    assert not Image.objects.exists()


def test_others_may_not_read_the_list(stranger, trip):
    assert stranger.get(f"/collections/{trip.pk}/files/").status_code == 404
    assert stranger.get(f"/collections/{trip.pk}/files.csv").status_code == 404
