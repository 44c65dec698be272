from __future__ import annotations

import csv
import io
import json

import pytest
from django.test import Client
from django.utils import timezone

from core.catalog import METHODS
from tests.webapp.api.asking import V1, refused, send
from tests.webapp.runs import rows
from webapp.api.application import api as application
from webapp.collections.models import Collection, Refusal, TrueLabel, Upload
from webapp.runs.models import Run

pytestmark = pytest.mark.django_db


def test_the_whole_way_from_a_collection_to_its_labels(api, alice, sent):
    status, made = send(api, "POST", "/collections", {"name": " Pets  at home ", "mirror": False})
    assert (status, made["name"], made["mirror"], made["images"]) == (201, "Pets at home", False, 0)
    path = f"/collections/{made['id']}"
    rows.add_images(Collection.objects.get(pk=made["id"]), 60)  # as uploads and their worker would

    status, names = send(api, "POST", "/class-lists", {"name": "pets", "names": ["cat", "dog", "owl"]})
    assert (status, names["version"], names["names"]) == (201, 1, ["cat", "dog", "owl"])
    status, changed = send(api, "PATCH", path, {"class_list": names["id"]})
    assert (status, changed["class_list"]["names"], changed["images"]) == (200, ["cat", "dog", "owl"], 60)

    truth = "path,label\n" + "".join(f"photos/{number:03d}.png,cat\n" for number in range(10)) + "photos/999.png,dog\n"
    answer = api.put(f"{V1}{path}/truth", truth, content_type="text/csv")
    assert answer.json() == {"labelled": 10, "images": 60, "unknown_paths": ["photos/999.png"],
                             "unknown_path_count": 1, "unknown_names": []}
    assert TrueLabel.objects.count() == 10

    status, run = send(api, "POST", f"{path}/runs", {"method": "must", "settings": {"epochs": 2}, "seed": 3})
    assert (status, run["status"], run["seed"], run["class_names"]) == (201, "queued", 3, ["cat", "dog", "owl"])
    assert (run["settings"]["epochs"], run["settings"]["mirror"]) == (2.0, False)
    assert (run["queue_position"], run["result"]) == (2, None)
    assert "No worker has been heard of" in run["notice"]
    assert run["page"].endswith(f"/runs/{run['id']}/")
    assert send(api, "GET", f"/runs/{run['baseline']}")[1]["method"] == "zeroshot"

    row = Run.objects.get(pk=run["id"])  # a worker's part
    Run.objects.filter(pk=row.pk).update(status="succeeded", finished_at=timezone.now(),
                                         result=rows.result(notes=["Zero-shot was kept."]))
    rows.answer(row)
    rows.package(row, b"PK-zip")
    row.refresh_from_db()
    rows.picture(row, b"a picture")
    status, done = send(api, "GET", f"/runs/{run['id']}")
    assert (done["status"], done["percent"], done["result"]["label_free_score"]) == ("succeeded", 100, 0.9)
    assert done["result"]["notes"] == ["Zero-shot was kept."]
    (picture,) = done["pictures"]
    assert (picture["title"], picture["rows"]) == ("Nearest", ["cat", "owl"])
    assert api.get(picture["address"]).content == b"a picture"
    assert api.get(picture["address"] + "s").status_code == 404

    assert b"".join(api.get(f"{V1}/runs/{run['id']}/package")) == b"PK-zip"
    table = list(csv.DictReader(io.StringIO(b"".join(api.get(f"{V1}/runs/{run['id']}/labels.csv")).decode())))
    assert [row["label"] for row in table[:4]] == ["cat", "dog", "owl", "cat"]
    lines = b"".join(api.get(f"{V1}/runs/{run['id']}/labels.jsonl")).decode().splitlines()
    assert json.loads(lines[1])["label"] == "dog"
    assert len(lines) == len(table) == 60


def test_a_correction_stands_in_the_labels_and_not_in_the_predictions(api, alice, collection):
    from webapp.review.models import Correction, ReviewAction

    mine = rows.run(collection)
    rows.answer(mine)
    action = ReviewAction.objects.create(run=mine, author=alice, description="one image is an owl")
    Correction.objects.create(action=action, image=collection.images.first(), class_index=2)
    first = next(csv.DictReader(io.StringIO(b"".join(api.get(f"{V1}/runs/{mine.pk}/labels.csv")).decode())))
    assert (first["label"], first["source"]) == ("owl", "person")
    assert send(api, "GET", f"/runs/{mine.pk}/predictions")[1]["predictions"][0]["label"] == "cat"


def test_predictions_come_by_page(api, collection):
    mine = rows.run(collection)
    rows.answer(mine)
    _, first = send(api, "GET", f"/runs/{mine.pk}/predictions?limit=40")
    assert (len(first["predictions"]), first["next"]) == (40, 39)
    _, second = send(api, "GET", f"/runs/{mine.pk}/predictions?limit=40&after={first['next']}")
    assert (len(second["predictions"]), second["next"]) == (20, None)
    assert second["predictions"][0] | {"top": []} == {
        "number": 40, "path": "photos/040.png", "class_index": 1, "label": "dog", "confidence": 0.8, "margin": 0.6,
        "top": []}


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


def test_runs_of_a_collection_are_listed(api, collection):
    rows.run(collection, "zeroshot")
    newest = rows.run(collection, status="queued")
    _, shown = send(api, "GET", f"/collections/{collection.pk}/runs")
    assert shown["runs"][0]["id"] == newest.pk
    assert len(shown["runs"]) == 2


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


def test_a_run_may_ask_another_question_than_its_collection(api, alice, collection, sent):
    other = rows.class_list(alice, ("bird", "beast"), "coarse")
    path = f"/collections/{collection.pk}/runs"
    _, named = send(api, "POST", path, {"method": "zeroshot", "class_list": other.class_list_id})
    assert named["class_names"] == ["bird", "beast"]
    _, numbered = send(api, "POST", path, {"method": "turtle", "num_classes": 5})
    assert numbered["num_classes"] == 5


def test_the_catalog_is_told(api):
    _, shown = send(api, "GET", "/methods")
    assert [one["name"] for one in shown] == list(METHODS)
    must = next(one for one in shown if one["name"] == "must")
    threshold = next(one for one in must["settings"] if one["name"] == "threshold")
    assert (threshold["low"], threshold["high"], threshold["symbol"]) == (0.0, 1.0, "τ, Eq. 2")
    assert must["presets"]["imagenet-b"]["threshold"] == 0.7


@pytest.mark.parametrize(("body", "what"), [
    ({"method": "magic"}, "method"),
    ({"method": "must", "settings": {"epochs": -1}}, "epochs"),
    ({"method": "must", "settings": {"epochs": {"a": 1}}}, "settings.epochs"),
    ({"method": "must", "settings": {"colour": "red"}}, "colour"),
    ({"method": "must", "settings": {"backbone": "clip-vit-z99"}}, "backbone"),
    ({"method": "must", "preset": "nobody's"}, "preset"),
    ({"method": "must", "seed": -1}, "seed"),
    ({"method": "turtle", "num_classes": 61}, "classes"),
    ({"method": "turtle", "num_classes": 1}, "num_classes"),
    ({"method": "must", "num_classes": 3}, "classes"),
    ({}, "method"),
])
def test_a_run_that_cannot_be_is_refused_naming_what_is_wrong(api, collection, sent, body, what):
    status, error = refused(api, "POST", f"/collections/{collection.pk}/runs", body)
    assert (status, error["what"]) == (422, what)
    assert not Run.objects.exists()


def test_a_run_begins_with_an_earlier_one_of_one_s_own(api, foreign, alice, charlie, collection, sent):
    tuned, path = rows.run(collection, "must"), f"/collections/{collection.pk}/runs"
    status, begun = send(api, "POST", path, {"method": "zeroshot", "start_from": tuned.pk})
    assert (status, begun["start_from"]) == (201, tuned.pk)
    status, error = refused(api, "POST", path, {"method": "zeroshot", "start_from": begun["id"]})
    assert (status, error["what"]) == (422, "start_from")
    theirs = rows.run(rows.collection(charlie, title="theirs"), "must")
    assert refused(api, "POST", path, {"method": "zeroshot", "start_from": theirs.pk})[0] == 404


def test_a_run_adapts_also_to_collections_that_one_may_see(api, alice, charlie, collection, sent):
    path = f"/collections/{collection.pk}/runs"
    more = rows.collection(alice, 0, title="more", names=())
    rows.add_images(more, 70)  # sixty of them are copies of the collection's own
    status, begun = send(api, "POST", path, {"method": "must", "also": [more.pk]})
    assert (status, begun["also"]) == (201, [more.pk])
    assert send(api, "GET", f"/runs/{begun['baseline']}")[1]["also"] == []
    theirs = rows.collection(charlie, 70, title="theirs")
    for hidden in (theirs.pk, 10**9):
        assert refused(api, "POST", path, {"method": "must", "also": [more.pk, hidden]})[0] == 404
    for method, also in (("zeroshot", [more.pk]), ("must", [collection.pk]), ("must", [more.pk] * 101)):
        status, error = refused(api, "POST", path, {"method": method, "also": also})
        assert (status, error["what"]) == (422, "also")
    assert Run.objects.filter(method="must").count() == 1
    assert [one["name"] for one in send(api, "GET", "/methods")[1] if one["joins"]] == ["must"]


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


def test_what_is_not_json_is_refused(api):
    answer = api.post(f"{V1}/collections", "{", content_type="application/json")
    assert answer.status_code == 400
    assert set(answer.json()["error"]) == {"what", "reason", "fix"}


def test_cancelling_is_final_and_may_be_asked_twice(api, collection):
    mine = rows.run(collection, status="queued")
    for _ in range(2):
        status, shown = send(api, "POST", f"/runs/{mine.pk}/cancel")
        assert (status, shown["status"]) == (200, "cancelled")
    assert refused(api, "POST", f"/runs/{rows.run(collection).pk}/cancel")[0] == 409


def test_a_run_pauses_and_goes_on(api, collection):
    mine = rows.run(collection, status="queued")
    assert refused(api, "POST", f"/runs/{mine.pk}/resume")[0] == 409
    for _ in range(2):
        status, shown = send(api, "POST", f"/runs/{mine.pk}/pause")
        assert (status, shown["status"]) == (200, "paused")
    status, shown = send(api, "POST", f"/runs/{mine.pk}/resume")
    assert (status, shown["status"], shown["queue_position"]) == (200, "queued", 1)
    assert refused(api, "POST", f"/runs/{rows.run(collection).pk}/pause")[0] == 409


@pytest.mark.parametrize("what", ["package", "pictures/typical", "labels.csv", "labels.jsonl", "predictions"])
def test_a_run_without_a_result_has_nothing_to_take_yet(api, collection, what):
    mine = rows.run(collection, status="running")
    status, error = refused(api, "GET", f"/runs/{mine.pk}/{what}")
    assert (status, error["what"]) == (409, f"run {mine.pk}")


def routes():
    """Return (verb, path) of every route the API describes."""
    return [(verb.upper(), path.removeprefix(V1))
            for path, verbs in application.get_openapi_schema()["paths"].items() for verb in verbs]


BODIES = {("POST", "/collections/{pk}/runs"): {"method": "must"}, ("PATCH", "/collections/{pk}"): {"name": "stolen"},
          ("PUT", "/class-lists/{pk}"): {"names": ["a", "b"]}, ("POST", "/collections"): {"name": "new"},
          ("POST", "/runs/{pk}/corrections"): {"images": [0], "label": "cat"},
          ("PUT", "/collections/{pk}/held-out"): {"percent": 20}, ("POST", "/runs/{pk}/spot-check"): {"count": 20},
          ("POST", "/runs/{pk}/spot-check/answers"): {"spot_check": 1, "place": 0, "label": "cat"},
          ("POST", "/runs/{pk}/spot-check/undo"): {"spot_check": 1},
          ("POST", "/runs/{pk}/spot-check/adopt"): {"spot_check": 1},
          ("POST", "/class-lists"): {"name": "new", "names": ["a", "b"]}}


@pytest.mark.parametrize(("verb", "path"), [one for one in routes() if "{pk}" in one[1]])
def test_others_things_and_missing_ones_do_not_exist(api, foreign, collection, sent, verb, path):
    mine = rows.run(collection, status="succeeded")
    rows.package(mine)
    rows.picture(mine)
    pk = {"runs": mine.pk, "collections": collection.pk, "class-lists": collection.class_list_version.class_list_id}[
        path.split("/")[1]]
    body = BODIES.get((verb, path))
    assert refused(foreign, verb, path.format(pk=pk, name="typical"), body)[0] == 404
    assert refused(api, verb, path.format(pk=10**9, name="typical"), body)[0] == 404
    assert Run.objects.count() == 1
    collection.refresh_from_db()
    assert collection.name == "Pets at home"


@pytest.mark.parametrize(("verb", "path"), [*routes(), ("GET", "/openapi.json"), ("GET", "/")])
def test_nobody_and_wrong_tokens_are_refused(db, verb, path):
    for client in (Client(), Client(headers={"Authorization": "Bearer lf_wrong"})):
        answer = client.generic(verb, V1 + path.format(pk=1, name="typical"))
        assert answer.status_code == 401
        assert set(answer.json()["error"]) == {"what", "reason", "fix"}


def test_an_expired_token_and_one_of_a_person_who_left_are_refused(alice):
    from webapp.accounts.models import ApiToken

    token, secret = ApiToken.issue(alice, "old")
    client = Client(headers={"Authorization": f"Bearer {secret}"})
    assert client.get(f"{V1}/collections").status_code == 200
    ApiToken.objects.filter(pk=token.pk).update(expires_at=timezone.now())
    assert client.get(f"{V1}/collections").status_code == 401
    ApiToken.objects.filter(pk=token.pk).update(expires_at=None)
    alice.is_active = False
    alice.save()
    assert client.get(f"{V1}/collections").status_code == 401


def test_a_session_changes_nothing_without_its_csrf_token(alice):
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    assert send(client, "GET", "/collections")[0] == 200
    status, error = refused(client, "POST", "/collections", {"name": "by another site"})
    assert (status, error["what"]) == (403, "origin")
    assert not Collection.objects.exists()
    client.get("/account/")
    token = client.cookies["labelfree_csrf"].value
    answer = client.post(f"{V1}/collections", json.dumps({"name": "mine"}), content_type="application/json",
                         headers={"X-CSRFToken": token})
    assert answer.status_code == 201


def test_the_wrong_verb_is_refused(api, collection):
    status, error = refused(api, "DELETE", f"/collections/{collection.pk}")
    assert (status, error["fix"]) == (405, "send GET or PATCH")
    assert error["what"] == f"DELETE {V1}/collections/{collection.pk}"
    assert api.get(f"{V1}/runs/{rows.run(collection).pk}/cancel").status_code == 405


def test_the_description_is_served_and_no_page_of_a_cdn(api):
    described = api.get(f"{V1}/openapi.json").json()
    labels = described["paths"]["/api/v1/runs/{pk}/labels.csv"]["get"]["responses"]
    assert set(labels["200"]["content"]) == {"text/csv"}
    for path in ("/docs", "/redoc", "/swagger"):
        assert api.get(V1 + path).status_code == 404
