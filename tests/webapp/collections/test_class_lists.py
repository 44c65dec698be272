"""Class lists: made, edited into versions, checked while typing, reused, deleted."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from webapp.collections import class_lists
from webapp.collections.models import ClassList
from webapp.collections.naming import check_list_name, create_class_list, free_list_name


@pytest.fixture
def pets(alice):
    return create_class_list(alice, "Pets", ("cat", "dog")).class_list


def text(response) -> str:
    return response.content.decode()


def test_it_is_made_listed_and_edited_into_a_new_version(signed_in, alice):
    signed_in.post("/class-lists/create/", {"name": " Garden  birds ", "names": "wren\nrobin"})
    made = ClassList.objects.get()
    assert made.name == "Garden birds"
    assert "wren, robin" in text(signed_in.get("/class-lists/"))
    signed_in.post(f"/class-lists/{made.pk}/", {"name": "Birds", "names": "wren\nrobin\nowl"})
    made.refresh_from_db()
    assert (made.name, made.latest.number, made.latest.created_by) == ("Birds", 2, alice)
    assert "owl" not in text(signed_in.get(f"/class-lists/{made.pk}/versions/1/")).split("<ol")[1]
    assert signed_in.get(f"/class-lists/{made.pk}/versions/9/").status_code == 404


@pytest.mark.parametrize(("name", "names", "words"), [
    ("", "a\nb", "give the list a name"), ("PETS ", "a\nb", "you have a list"), ("x" * 101, "a\nb", "101 characters"),
    ("New", "", "no class names"), ("New", "a", "nothing to tell apart"), ("New", "a\nA", "same name as line 1"),
    ("New", "heron,egret", "write one name a line, not separated by commas")])
def test_faults_are_named(signed_in, pets, name, names, words):
    response = signed_in.post("/class-lists/create/", {"name": name, "names": names})
    assert response.status_code == 422
    assert words.lower() in text(response).lower()
    assert ClassList.objects.count() == 1


def test_a_heading_is_kept_and_said_when_a_list_is_made_and_when_it_is_edited(signed_in, alice):
    noted = "The first line, “species”, was taken as a class; leave it out if it is a heading."
    values = {"name": "Birds", "names": "species\nwren\nrobin"}
    assert noted in text(signed_in.post("/class-lists/create/", values, follow=True))
    made = ClassList.objects.get()
    assert made.latest.names == ["species", "wren", "robin"]
    values["names"] += "\nowl"
    assert noted in text(signed_in.post(f"/class-lists/{made.pk}/", values, follow=True))
    assert noted not in text(signed_in.post(f"/class-lists/{made.pk}/", {"name": "Birds", "names": "wren\nowl"},
                                            follow=True))


def test_of_two_tabs_that_make_one_list_at_once_the_second_is_told_so(signed_in, alice, monkeypatch):
    def check_just_before(*arguments: object) -> str:
        name = check_list_name(*arguments)
        create_class_list(alice, name, ("cat", "dog"))
        return name

    monkeypatch.setattr(class_lists, "check_list_name", check_just_before)
    response = signed_in.post("/class-lists/create/", {"name": "Pets", "names": "cat\ndog"})
    assert response.status_code == 422
    assert "You have a list" in text(response)
    assert ClassList.objects.count() == 1


@pytest.mark.parametrize(("names", "words"), [
    ("", "One name a line"), ("cat", "at least two"), ("cat\ndog\n", "2 names, no faults"),
    ("cat\n Cat", "Line 2, “Cat”: the same name as line 1"), ("cat\n\ndog", "Line 2: empty line"),
    ("<b>\n<b>", "&lt;b&gt;"), ("Species\ncat\ndog", "Note: the first line, “Species”, was taken as a class")])
def test_the_live_check_says_what_is_wrong(signed_in, db, names, words):
    assert words in text(signed_in.post("/class-lists/check/", {"names": names}))


def test_the_live_check_shows_the_first_faults_of_many(signed_in, db):
    page = text(signed_in.post("/class-lists/check/", {"names": "same\n" * 50}))
    assert "and 41 more" in page


def test_the_editor_loads_a_list(signed_in, stranger, pets):
    assert "cat\ndog</textarea>" in text(signed_in.get(f"/class-lists/editor/?class_list={pets.pk}"))
    assert stranger.get(f"/class-lists/editor/?class_list={pets.pk}").status_code == 404


@pytest.mark.parametrize("number", ["²", "x", "9" * 19, "9" * 5000])
def test_the_editor_takes_what_is_no_number_for_no_list(signed_in, db, number):
    assert signed_in.get("/class-lists/editor/", {"class_list": number}).status_code == 200


def test_the_editor_reads_a_file_and_names_a_wrong_encoding(signed_in, pets):
    def sent(content: bytes):
        return text(signed_in.post("/class-lists/editor/", {
            "file": SimpleUploadedFile("names.txt", content), "names": "typed\nbefore", "class_list": pets.pk}))

    assert "été\nhiver</textarea>" in sent("été\nhiver".encode())
    assert "été\nhiver</textarea>" in sent("été\nhiver".encode("utf-16"))
    wrong = sent("été\nhiver".encode("latin-1"))
    assert "names.txt: not text in UTF-8" in wrong
    assert "typed\nbefore</textarea>" in wrong
    assert "version 1" in wrong


def test_a_used_list_stays_and_an_unused_one_goes(signed_in, alice, pets):
    collection = alice.collections.create(name="x", class_list_version=pets.latest)
    signed_in.post(f"/class-lists/{pets.pk}/delete/")
    assert ClassList.objects.exists()
    assert "stays" in text(signed_in.get(f"/class-lists/{pets.pk}/"))
    collection.delete()
    signed_in.post(f"/class-lists/{pets.pk}/delete/")
    assert not ClassList.objects.exists()


def test_names_of_lists_are_ones_own(alice, charlie, pets):
    assert free_list_name(alice, "PETS") == "PETS 2"
    assert free_list_name(charlie, "PETS") == "PETS"
    assert create_class_list(charlie, "Pets", ("a", "b")).number == 1
