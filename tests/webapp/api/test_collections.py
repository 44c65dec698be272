"""Collections and class lists over HTTP: listed, changed, and refused by name or line."""

from __future__ import annotations

import pytest

from tests.webapp.api.asking import V1, refused, send
from tests.webapp.runs import rows
from webapp.collections.models import Refusal, Upload

pytestmark = pytest.mark.django_db


def test_a_collection_tells_what_it_waits_for_and_what_it_refused(api, collection):
    Upload.objects.create(collection=collection, name="more.zip", size_bytes=9, received_bytes=4)
    Upload.objects.create(collection=collection, name="done.zip", size_bytes=9, status="done")
    Refusal.objects.create(collection=collection, path="broken.jpg", reason="the file ends too early")
    _, shown = send(api, "GET", f"/collections/{collection.pk}")
    assert [one["name"] for one in shown["pending_uploads"]] == ["more.zip"]
    assert shown["pending_upload_count"] == 1
    assert shown["refusals"] == [{"path": "broken.jpg", "reason": "the file ends too early"}]


def test_lists_come_by_page_and_only_ones_own(api, alice, charlie, monkeypatch):
    monkeypatch.setattr("webapp.api.collections.PAGE", 2)
    mine = [rows.collection(alice, 0, title=f"mine {number}", names=()) for number in range(3)]
    rows.collection(charlie, 0, title="theirs", names=())
    _, first = send(api, "GET", "/collections")
    assert [one["id"] for one in first["collections"]] == [mine[2].pk, mine[1].pk]
    _, second = send(api, "GET", f"/collections?before={first['next']}")
    assert ([one["id"] for one in second["collections"]], second["next"]) == ([mine[0].pk], None)


def test_names_and_a_number_take_each_others_place(api, collection):
    path = f"/collections/{collection.pk}"
    _, numbered = send(api, "PATCH", path, {"num_classes": 7})
    assert (numbered["class_list"], numbered["num_classes"]) == (None, 7)
    _, unknown = send(api, "PATCH", path, {"num_classes": None})
    assert (unknown["class_list"], unknown["num_classes"]) == (None, None)
    _, renamed = send(api, "PATCH", path, {"name": "other", "mirror": False})
    assert (renamed["name"], renamed["mirror"], renamed["num_classes"]) == ("other", False, None)


def test_a_changed_class_list_is_a_new_version_and_collections_keep_theirs(api, collection):
    pk = collection.class_list_version.class_list_id
    _, changed = send(api, "PUT", f"/class-lists/{pk}", {"names": ["cat", "dog", "tawny owl"]})
    assert changed["version"] == 2
    assert send(api, "GET", f"/class-lists/{pk}")[1]["names"][2] == "tawny owl"
    assert send(api, "GET", f"/collections/{collection.pk}")[1]["class_list"]["version"] == 1


@pytest.mark.parametrize(("verb", "path", "body", "what"), [
    ("POST", "/collections", {"name": "a\0b"}, "name"), ("PATCH", "/collections/{}", {"name": "a\nb"}, "name"),
    ("POST", "/class-lists", {"name": "\0", "names": ["a", "b"]}, "name"),
    ("POST", "/collections/{}/runs", {"method": "must", "settings": {"own_templates": "{} \0"}},
     "settings.own_templates"),
])
def test_what_no_database_stores_is_refused_by_name(api, collection, verb, path, body, what):
    status, error = refused(api, verb, path.format(collection.pk), body)
    assert (status, error["what"]) == (422, what)


@pytest.mark.parametrize(("names", "words"), [
    ([], "no class names"), (["cat", "Cat "], "same name as line 1"), (["cat", "", "dog"], "empty line"),
    (["cat", "x" * 101], "101 characters"), (["cat\ndog", "owl"], "line break"),
])
def test_bad_class_names_are_refused_by_line(api, names, words):
    status, error = refused(api, "POST", "/class-lists", {"name": "pets", "names": names})
    assert status == 422
    assert words in error["reason"]


def test_two_class_lists_of_one_name_are_refused(api, alice):
    rows.class_list(alice, title="pets")
    assert refused(api, "POST", "/class-lists", {"name": "Pets", "names": ["a", "b"]})[0] == 422


def test_a_class_list_with_a_number_beside_it_is_refused(api, collection):
    body = {"class_list": collection.class_list_version.class_list_id, "num_classes": 9}
    assert refused(api, "PATCH", f"/collections/{collection.pk}", body)[0] == 422


def test_a_truth_file_that_fits_nothing_is_refused(api, collection):
    answer = api.put(f"{V1}/collections/{collection.pk}/truth", "path,label\nnowhere.png,cat\n",
                     content_type="text/csv")
    assert answer.status_code == 422
    assert "none of its 1 paths" in answer.json()["error"]["reason"]
