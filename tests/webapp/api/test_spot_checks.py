"""A spot check over HTTP on real digits: drawn, answered, taken back, measured and adopted."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.webapp.api.asking import refused, send
from tests.webapp.api.conftest import program
from tests.webapp.review.gallery import NAMES, Gallery, fill
from webapp.accounts.models import ApiToken, Scope
from webapp.review.labels import standing_labels
from webapp.runs.models import Run

pytestmark = pytest.mark.django_db


@pytest.fixture
def gallery(db: None) -> Gallery:
    return fill()


@pytest.fixture
def owner(gallery: Gallery) -> Client:
    return program(gallery.owner)


def answer_to_the_end(owner: Client, gallery: Gallery, sample: dict) -> dict:
    """Answer as the truth is until no image waits."""
    while sample["next"] is not None:
        status, sample = send(owner, "POST", f"/runs/{sample['run']}/spot-check/answers", {
            "spot_check": sample["id"], "place": sample["next"]["place"],
            "label": NAMES[gallery.truth[sample["next"]["number"]]]})
        assert status == 200
    return sample


@pytest.mark.parametrize("design", ["uniform", "stratified"])
def test_a_sample_is_answered_measured_and_adopted(gallery, owner, design):
    path = f"/runs/{gallery.run.pk}"
    assert refused(owner, "GET", f"{path}/spot-check")[0] == 404
    status, sample = send(owner, "POST", f"{path}/spot-check", {"count": 30, "design": design})
    assert (status, sample["size"], sample["done"], sample["design"]) == (201, 30, 0, design)
    assert (sample["choices"], sample["measured"], sample["seed"]) == (list(NAMES), None, gallery.run.pk * 1000)
    assert set(sample["next"]) == {"place", "number", "path", "address"}, "what the model said is not told"
    status, error = refused(owner, "POST", f"{path}/spot-check/adopt", {"spot_check": sample["id"]})
    assert (status, error["what"]) == (409, f"spot check {sample['id']}")

    sample = answer_to_the_end(owner, gallery, sample)
    assert (sample["is_finished"], sample["done"], sample["measured"]["answered"]) == (True, 30, 30)
    assert 0 < sample["measured"]["low"] < sample["measured"]["accuracy"] < sample["measured"]["high"] <= 1
    assert sample["baseline"]["accuracy"] < sample["measured"]["accuracy"]
    assert all(one["answered"] != one["person"] for one in sample["mistakes"])
    if design == "uniform":
        assert sample["measured"]["accuracy"] == pytest.approx(1 - len(sample["mistakes"]) / 30)
    shown = send(owner, "GET", path)[1]["spot_check"]
    assert shown["accuracy"] == sample["measured"]["accuracy"]

    for _ in range(2):
        status, adopted = send(owner, "POST", f"{path}/spot-check/adopt", {"spot_check": sample["id"]})
        assert (status, adopted["is_adopted"], adopted["measured"]) == (200, True, sample["measured"])
    assert sum(one.source == "person" for one in standing_labels(gallery.run)) == 30


def test_an_answer_stands_until_it_is_taken_back_and_may_be_sent_twice(gallery, owner):
    path = f"/runs/{gallery.run.pk}/spot-check"
    sample = send(owner, "POST", path, {"count": 5})[1]
    first = {"spot_check": sample["id"], "place": 0, "label": "three"}
    for _ in range(2):
        status, shown = send(owner, "POST", f"{path}/answers", first)
        assert (status, shown["done"], shown["next"]["place"]) == (200, 1, 1)
    status, error = refused(owner, "POST", f"{path}/answers", first | {"label": "four"})
    assert (status, error["what"]) == (409, "place 0")
    shown = send(owner, "POST", f"{path}/undo", {"spot_check": sample["id"]})[1]
    assert (shown["done"], shown["next"]["place"]) == (0, 0)
    for verdict in ("none", "unsure"):
        shown = send(owner, "POST", f"{path}/answers", {
            "spot_check": sample["id"], "place": shown["next"]["place"], "verdict": verdict})[1]
    assert (shown["done"], shown["unsure"]) == (2, 1)
    assert send(owner, "GET", path)[1] == shown


@pytest.mark.parametrize(("body", "what"), [
    ({"place": 0, "label": "eleven"}, "label"), ({"place": 0}, "label"), ({"place": 7, "label": "one"}, "place"),
    ({"place": 0, "label": "one", "verdict": "none"}, "label"), ({"place": 0, "verdict": "perhaps"}, "verdict"),
    ({"place": -1, "label": "one"}, "place"), ({"place": 0, "label": "a\0"}, "label")])
def test_an_answer_that_means_nothing_is_refused_by_name(gallery, owner, body, what):
    path = f"/runs/{gallery.run.pk}/spot-check"
    sample = send(owner, "POST", path, {"count": 5})[1]
    status, error = refused(owner, "POST", f"{path}/answers", {"spot_check": sample["id"]} | body)
    assert (status, error["what"]) == (422, what)
    assert send(owner, "GET", path)[1]["done"] == 0


@pytest.mark.parametrize(("body", "what"), [
    ({"count": 0}, "count"), ({"design": "lucky"}, "design"), ({"count": 12, "design": "stratified"}, "sample")])
def test_a_sample_that_cannot_be_drawn_is_refused(gallery, owner, body, what):
    status, error = refused(owner, "POST", f"/runs/{gallery.run.pk}/spot-check", body)
    assert (status, error["what"]) == (422, what)
    assert not gallery.run.spot_checks.exists()


def test_clusters_without_names_and_runs_without_answers_cannot_be_checked(gallery, owner):
    status, error = refused(owner, "POST", f"/runs/{gallery.clusters.pk}/spot-check", {"count": 5})
    assert (status, "Name the clusters" in error["reason"]) == (422, True)
    Run.objects.filter(pk=gallery.run.pk).update(status="queued", finished_at=None)
    assert refused(owner, "POST", f"/runs/{gallery.run.pk}/spot-check", {"count": 5})[0] == 422


def test_a_sample_of_another_run_is_not_answered_through_this_one(gallery, owner):
    sample = send(owner, "POST", f"/runs/{gallery.run.pk}/spot-check", {"count": 5})[1]
    body = {"spot_check": sample["id"], "place": 0, "label": "one"}
    assert refused(owner, "POST", f"/runs/{gallery.baseline.pk}/spot-check/answers", body)[0] == 404


def test_a_token_for_reviewing_answers_and_a_reading_one_does_not(gallery):
    for scope, status in ((Scope.REVIEW, 201), (Scope.READ, 403)):
        _, secret = ApiToken.issue(gallery.owner, "narrow", [scope])
        client = Client(headers={"Authorization": f"Bearer {secret}"})
        assert send(client, "POST", f"/runs/{gallery.run.pk}/spot-check", {"count": 5})[0] == status
