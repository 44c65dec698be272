"""The question tab: names, a number or nothing; the truth; the held-out part."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from tests.webapp.collections.pictures import png, zipped
from webapp.collections import forms
from webapp.collections.models import ClassList, TrueLabel, Upload
from webapp.collections.naming import check_list_name, create_class_list
from webapp.collections.truth import store_truth


@pytest.fixture
def five(brought, collection):
    brought("trip.zip", zipped({
        "cat/1.png": png(1), "cat/2.png": png(2), "dog/1.png": png(3), "dog/4.png": png(4), "dog/4 copy.png": png(4)}))
    return collection


def ask(client, collection, **values: object):
    return client.post(f"/collections/{collection.pk}/question/", {"kind": "names", "class_list": "new", **values})


def file(content: bytes, name: str = "x.csv") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


def test_names_make_a_list_named_like_the_collection(signed_in, five):
    assert ask(signed_in, five, names="cat\r\n dog ", mirror="on").status_code == 302
    five.refresh_from_db()
    version = five.class_list_version
    assert (version.class_list.name, version.number, version.names) == ("Field trip", 1, ["cat", "dog"])
    assert five.mirror


def test_a_heading_among_the_names_is_kept_and_said(signed_in, five):
    ask(signed_in, five, names="Label\ncat\ndog")
    page = signed_in.get(f"/collections/{five.pk}/question/").content.decode()
    assert "The first line, “Label”, was taken as a class; leave it out if it is a heading." in page
    five.refresh_from_db()
    assert five.class_list_version.names == ["Label", "cat", "dog"]


def test_an_edit_is_a_new_version_and_the_old_one_stays(signed_in, five):
    ask(signed_in, five, names="cat\ndog")
    five.refresh_from_db()
    first = five.class_list_version
    ask(signed_in, five, names="cat\ndog\nowl", class_list=first.class_list_id)
    five.refresh_from_db()
    assert (five.class_list_version.number, five.class_list_version.names) == (2, ["cat", "dog", "owl"])
    first.refresh_from_db()
    assert first.names == ["cat", "dog"]
    ask(signed_in, five, names="cat\ndog\nowl", class_list=first.class_list_id)
    assert first.class_list.versions.count() == 2


def test_of_two_tabs_that_name_one_list_at_once_the_second_is_told_so(signed_in, alice, five, monkeypatch):
    def check_just_before(*arguments: object) -> str:
        name = check_list_name(*arguments)
        create_class_list(alice, name, ("cat", "dog"))
        return name

    monkeypatch.setattr(forms, "check_list_name", check_just_before)
    response = ask(signed_in, five, names="cat\ndog", list_name="Pets")
    assert response.status_code == 422
    assert "You have a list" in response.content.decode()
    five.refresh_from_db()
    assert five.class_list_version is None


@pytest.mark.parametrize(("names", "words"), [
    ("", "no class names"), ("cat", "nothing to tell apart"), ("cat\nCAT ", "same name as line 1"),
    ("cat, dog", "write one name a line, not separated by commas"),
    ("cat\n\ndog", "empty line"), ("cat\n" + "x" * 101, "101 characters")])
def test_names_with_faults_are_refused_where_they_stand(signed_in, five, names, words):
    response = ask(signed_in, five, names=names)
    assert response.status_code == 422
    assert words in response.content.decode()
    assert not ClassList.objects.exists()


@pytest.mark.parametrize(("number", "words"), [
    ("1", "nothing to tell apart"), ("0", "nothing to tell apart"), ("six", "whole number"), ("", "whole number"),
    ("2.5", "whole number"), ("6", "6 classes for 5 images"), ("10001", "At most 10,000")])
def test_numbers_with_faults_are_refused_where_they_stand(signed_in, five, number, words):
    response = ask(signed_in, five, kind="number", num_classes=number)
    assert response.status_code == 422
    assert words in response.content.decode()


def test_a_list_may_be_longer_than_the_collection(signed_in, five):
    assert ask(signed_in, five, names="a\nb\nc\nd\ne\nf").status_code == 302
    five.refresh_from_db()
    assert len(five.class_list_version.names) == 6


def test_more_classes_than_images_are_fine_while_images_are_on_their_way(signed_in, five):
    Upload.objects.create(collection=five, name="more.zip", size_bytes=10)
    assert ask(signed_in, five, kind="number", num_classes="6").status_code == 302


def test_the_kinds_take_each_others_place(signed_in, five):
    ask(signed_in, five, names="cat\ndog")
    ask(signed_in, five, kind="number", num_classes="3")
    five.refresh_from_db()
    assert (five.class_list_version, five.num_classes, five.mirror) == (None, 3, False)
    ask(signed_in, five, kind="unknown")
    five.refresh_from_db()
    assert (five.class_list_version, five.num_classes) == (None, None)


def test_names_come_from_a_file_too(signed_in, five):
    ask(signed_in, five, file=file("\ufeffcafé\ndog".encode(), "names.txt"))
    five.refresh_from_db()
    assert five.class_list_version.names == ["café", "dog"]


def test_a_file_in_the_wrong_encoding_is_named(signed_in, five):
    response = ask(signed_in, five, file=file("café\nthé".encode("latin-1"), "names.txt"))
    assert response.status_code == 422
    assert "looks like Windows-1252 or Latin-1" in response.content.decode()


def test_others_lists_cannot_be_chosen(signed_in, five, charlie):
    other = ClassList.objects.create(owner=charlie, name="secret")
    other.versions.create(number=1, names=["a", "b"])
    assert ask(signed_in, five, names="a\nc", class_list=other.pk).status_code == 422
    assert other.versions.count() == 1


@pytest.mark.parametrize("content", [
    b"path,label\ncat/1.png,cat\ncat/2.png,cat\ndog/1.png,dog\n",
    b"\xef\xbb\xbffile;class\r\ncat/1.png;cat\r\ncat/2.png;cat\r\ndog/1.png;dog\r\n",
    b"cat/1.png\tcat\ncat\\2.png\tcat\n./dog/1.png\tdog",
    "label,id,path\ncat,7,cat/1.png\ncat,8,cat/2.png\ndog,9,dog/1.png".encode("utf-16"),
])
def test_the_truth_is_read_from_usual_kinds_of_csv(signed_in, five, content):
    signed_in.post(f"/collections/{five.pk}/truth/", {"file": file(content)})
    assert sorted(TrueLabel.objects.values_list("image__path", "name")) == [
        ("cat/1.png", "cat"), ("cat/2.png", "cat"), ("dog/1.png", "dog")]


def test_a_file_name_alone_is_enough_where_it_is_the_only_one(five):
    report = store_truth(five, b"path,label\n2.png,cat\n1.png,dog\n")
    assert (report.labelled, report.unknown_paths) == (1, ("1.png",))  # two images are called 1.png


def test_the_truth_takes_the_class_lists_spelling(five, signed_in):
    ask(signed_in, five, names="Cat\nDog")
    five.refresh_from_db()
    report = store_truth(five, b"path,label\ncat/1.png,cat\ncat/2.png,lynx\n")
    assert report.unknown_names == ("lynx",)
    assert set(TrueLabel.objects.values_list("name", flat=True)) == {"Cat", "lynx"}


@pytest.mark.parametrize(("content", "words"), [
    (b"", "empty file"), (b"path,label\n", "without rows"), (b"path,label\ncat/1.png\n", "line 2"),
    (b"path,label\ncat/1.png,\n", "no label"), (b"path,label\nnowhere.png,cat\n", "none of its 1 paths"),
    (b"path,label\ncat/1.png,cat\ncat/1.png,dog\n", "but line 2 calls it"),
    (b"path,label\ncat/1.png,caf\xe9\n", "Latin-1"), (b"\x89PNG\r\n\x1a\n\x00\x00", "not text"),
])
def test_a_truth_that_cannot_be_used_is_refused_by_line(signed_in, five, content, words):
    store_truth(five, b"path,label\ncat/1.png,cat\n")
    response = signed_in.post(f"/collections/{five.pk}/truth/", {"file": file(content)} if content else {})
    expected = words if content else "choose a file first"
    assert response.status_code == 422
    assert expected in response.content.decode().replace("&#x27;", "'")
    assert TrueLabel.objects.count() == 1  # the earlier truth stands


def test_the_truth_can_be_forgotten(signed_in, five):
    store_truth(five, b"path,label\ncat/1.png,cat\n")
    signed_in.post(f"/collections/{five.pk}/truth/", {"remove": "1"})
    assert not TrueLabel.objects.exists()


def hold_out(client, collection, **values: object):
    return client.post(f"/collections/{collection.pk}/held-out/", values)


def held(collection) -> set[str]:
    return set(collection.images.filter(held_out=True).values_list("path", flat=True))


def test_a_share_is_held_out_by_seed_and_twins_stay_together(signed_in, five):
    seen = set()
    for seed in range(12):
        hold_out(signed_in, five, how="share", percent="40", seed=str(seed))
        chosen = held(five)
        assert len(chosen) == 2
        assert len(chosen & {"dog/4.png", "dog/4 copy.png"}) in (0, 2)
        seen.add(frozenset(chosen))
        hold_out(signed_in, five, how="share", percent="40", seed=str(seed))
        assert held(five) == chosen
    assert len(seen) > 2


def test_a_list_is_held_out(signed_in, five):
    hold_out(signed_in, five, how="list", file=file(b"path\ncat/1.png\ndog/1.png\n"))
    assert held(five) == {"cat/1.png", "dog/1.png"}
    hold_out(signed_in, five, how="list", file=file(b"cat/2.png\n"))
    assert held(five) == {"cat/2.png"}
    hold_out(signed_in, five, how="nothing")
    assert held(five) == set()


@pytest.mark.parametrize(("values", "words"), [
    ({"how": "share", "percent": "91", "seed": "0"}, "choose 1 to 90"),
    ({"how": "share", "percent": "x", "seed": "0"}, "not a whole number"),
    ({"how": "share", "percent": "20", "seed": "-1"}, "not a whole number"),
    ({"how": "list", "file": b"path\nnowhere.png\n"}, "line 2 (nowhere.png)"),
    ({"how": "list", "file": b"cat/1.png\ncat/2.png\ndog/1.png\ndog/4.png\ndog/4 copy.png"}, "nothing is left"),
    ({"how": "list"}, "choose a file first"),
])
def test_a_part_that_cannot_be_held_out_is_refused_in_words(signed_in, five, values, words):
    if "file" in values:
        values = {**values, "file": file(values["file"])}
    response = hold_out(signed_in, five, **values)
    assert response.status_code == 422
    assert words in response.content.decode()
    assert held(five) == set()
