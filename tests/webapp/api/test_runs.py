"""Runs over HTTP: the methods to choose from, what a run may ask and begin with, cancelled and paused."""

from __future__ import annotations

import pytest

from core.catalog import METHODS
from tests.webapp.api.asking import refused, send
from tests.webapp.runs import rows
from webapp.runs.models import Run

pytestmark = pytest.mark.django_db


def test_runs_of_a_collection_are_listed(api, collection):
    rows.run(collection, "zeroshot")
    newest = rows.run(collection, status="queued")
    _, shown = send(api, "GET", f"/collections/{collection.pk}/runs")
    assert shown["runs"][0]["id"] == newest.pk
    assert len(shown["runs"]) == 2


def test_a_run_may_ask_another_question_than_its_collection(api, alice, collection, sent):
    other = rows.class_list(alice, ("bird", "beast"), "coarse")
    path = f"/collections/{collection.pk}/runs"
    _, named = send(api, "POST", path, {"method": "zeroshot", "class_list": other.class_list_id})
    assert named["class_names"] == ["bird", "beast"]
    _, numbered = send(api, "POST", path, {"method": "turtle", "num_classes": 5})
    assert numbered["num_classes"] == 5


def test_a_field_that_is_none_is_refused_by_name(api, collection, sent):
    status, error = refused(api, "POST", f"/collections/{collection.pk}/runs",
                            {"method": "turtle", "classes": 12, "setings": {"steps": 50}})
    assert (status, error["what"], error["reason"]) == (422, "classes", "is no field of this request (1 more)")
    assert not Run.objects.exists()


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
