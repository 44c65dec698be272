"""What became of every file: listed with reasons, filtered, counted and downloaded."""

from __future__ import annotations

import csv
import json
from io import StringIO

import pytest

from tests.webapp.collections.pictures import png, zipped
from webapp.collections.models import Image, Refusal, Upload


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
