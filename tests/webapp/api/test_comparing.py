"""Runs side by side over HTTP: the page's own figures, agreement by hand-made answers, and the disputed images."""

from __future__ import annotations

import pytest

from tests.webapp.api.asking import refused, send
from tests.webapp.runs import rows
from tests.webapp.runs.rows import answered

pytestmark = pytest.mark.django_db


@pytest.fixture
def three(collection):
    """Return zero-shot, MUST (both in words) and k-means (clusters numbered otherwise) on sixty images."""
    truth, result = [number % 3 for number in range(60)], rows.result(histogram=(20, 20, 20), peak_memory_bytes=3)
    zero_shot = answered(rows.run(collection, "zeroshot", result=result | {"label_free_score": 0.5}),
                         [0] * 12 + truth[12:])
    must = answered(rows.run(collection, "must", result=result, baseline=zero_shot),
                    truth)
    clusters = answered(rows.run(collection, "kmeans", class_list_version=None, num_classes=3, result=result),
                        [(one + 1) % 3 for one in truth])
    return zero_shot, must, clusters


def test_the_newest_of_each_method_stand_side_by_side(api, collection, three):
    zero_shot, must, clusters = three
    rows.truth(collection, [*(number % 3 for number in range(57)), 1, 2, 0])
    status, shown = send(api, "GET", f"/collections/{collection.pk}/comparison")
    assert (status, shown["reviewed"]) == (200, clusters.pk)
    assert [one["run"] for one in shown["runs"]] == [zero_shot.pk, must.pk, clusters.pk]
    first, second, _ = shown["runs"]
    assert [one["agreements"][1] for one in shown["runs"]] == [pytest.approx(52 / 60), None, 1.0]
    assert (first["method"], first["classes_found"], first["num_classes"], first["label_free_score"]) == (
        "zeroshot", 3, 3, 0.5)
    assert (first["seconds"], first["peak_memory_bytes"], first["measured"]["is_best"]) == (61.0, 3, False)
    assert second["measured"] == {"label": "right answers (measured accuracy)", "value": 0.95, "images": 60,
                                  "is_best": True}
    assert (second["estimated"], second["spot_check"], second["objection"]) == (None, None, "")


def test_only_the_runs_asked_for_are_compared(api, collection, three):
    query = f"run={three[0].pk}&run={three[2].pk}"
    _, shown = send(api, "GET", f"/collections/{collection.pk}/comparison?{query}")
    assert [one["run"] for one in shown["runs"]] == [three[0].pk, three[2].pk]


def test_disputed_images_come_by_page_and_a_correction_settles_one(api, collection, three):
    zero_shot, must, clusters = three
    path = f"/collections/{collection.pk}/comparison/disputes?review={zero_shot.pk}&limit=5"
    _, first = send(api, "GET", path)
    assert (first["total"], len(first["disputes"]), first["next"]) == (8, 5, 2)
    assert first["runs"] == [one.pk for one in three]
    asked = first["disputes"][0]
    assert asked["answers"] == [{"label": "dog", "runs": [must.pk, clusters.pk]},
                                {"label": "cat", "runs": [zero_shot.pk]}]
    assert (asked["number"], asked["path"], asked["corrected"]) == (1, "photos/001.png", None)
    assert asked["address"].endswith(f"/media/images/{collection.images.get(number=1).pk}")
    _, second = send(api, "GET", path + "&page=2")
    assert (len(second["disputes"]), second["next"]) == (3, None)
    assert send(api, "GET", path + "&page=3")[1]["disputes"] == []
    send(api, "POST", f"/runs/{zero_shot.pk}/corrections", {"images": [1], "label": "dog"})
    assert send(api, "GET", path)[1]["disputes"][0]["corrected"] == "dog"
    _, by_newest = send(api, "GET", f"/collections/{collection.pk}/comparison/disputes")
    assert (by_newest["reviewed"], by_newest["total"]) == (clusters.pk, 8)
    rows.truth(collection, [0] * 12 + [number % 3 for number in range(12, 60)])
    _, by_best = send(api, "GET", f"/collections/{collection.pk}/comparison/disputes")
    assert (by_best["reviewed"], by_best["total"]) == (zero_shot.pk, 8)


@pytest.mark.parametrize(("query", "what"), [
    ("run={0}", "run"), ("run={0}&run=999999", "run"), ("run={0}&run=" + "9" * 30, "run"),
    ("&".join(f"run={one}" for one in range(9)), "run"), ("review=999999", "review"), ("page=0", "page"),
    ("limit=100000", "limit"), ("run=x", "run.0")])
def test_what_cannot_be_compared_is_refused_by_name(api, collection, three, query, what):
    query = query.format(three[0].pk)
    status, error = refused(api, "GET", f"/collections/{collection.pk}/comparison/disputes?{query}")
    assert (status, error["what"]) == (422, what)


def test_runs_that_are_not_finished_or_of_another_collection_are_not_compared(api, alice, collection, three):
    waiting = rows.run(collection, status="queued")
    other = rows.run(rows.collection(alice, title="other"))
    for run in (waiting, other):
        status, error = refused(api, "GET", f"/collections/{collection.pk}/comparison?run={three[0].pk}&run={run.pk}")
        assert (status, f"{run.pk} is no finished run" in error["reason"]) == (422, True)


def test_one_run_is_nothing_to_compare_yet(api, collection):
    rows.run(collection)
    assert refused(api, "GET", f"/collections/{collection.pk}/comparison")[0] == 409
