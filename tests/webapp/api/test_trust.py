"""What the API says without labels: objection, estimate, alarm; what to hold out, and which method to take."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from core.baseline import baseline_of
from core.catalog import METHODS, parse
from core.evaluation import estimate
from tests.webapp.api.asking import refused, send
from tests.webapp.runs import rows
from webapp.runs.presence import beat

pytestmark = pytest.mark.django_db


def test_the_guard_s_objection_is_told_with_the_run(api, collection):
    baseline = rows.run(collection, "zeroshot", result=rows.result(histogram=(20, 20, 20)))
    crowded = rows.run(collection, baseline=baseline, result=rows.result(histogram=(58, 2, 0)))
    even = rows.run(collection, baseline=baseline, result=rows.result(histogram=(19, 20, 21)))
    _, shown = send(api, "GET", f"/runs/{crowded.pk}")
    assert "it answers 2 of 3 classes, the baseline 3" in shown["objection"]
    assert [send(api, "GET", f"/runs/{one.pk}")[1]["objection"] for one in (even, baseline)] == ["", ""]


def test_an_alarm_is_told_while_a_run_crowds_its_images(api, collection):
    baseline = rows.run(collection, "zeroshot", result=rows.result(histogram=(20, 20, 20)))
    mine = rows.run(collection, status="running", baseline=baseline, histogram=[40, 1, 1])
    assert "crowds the images" in send(api, "GET", f"/runs/{mine.pk}")[1]["alarm"]
    mine.histogram = [20, 20, 20]
    mine.save(update_fields=["histogram"])
    assert send(api, "GET", f"/runs/{mine.pk}")[1]["alarm"] == ""


def test_accuracy_is_estimated_where_every_sign_is_there(api, collection):
    signs = dict.fromkeys(estimate.ESTIMATORS["names"], 0.8) | {"group_agreement": 0.7, "classes": 10.0}
    run = rows.run(collection, "zeroshot", result=rows.result(signals=signs))
    assert estimate.calibration_of("names", run.settings["backbone"]) is not None
    said = send(api, "GET", f"/runs/{run.pk}")[1]["estimated"]
    assert 0 < said["low"] < said["accuracy"] < said["high"] <= 1
    _, index = send(api, "GET", f"/collections/{collection.pk}/runs")
    assert index["runs"][0]["estimated"] == said
    run.result["signals"] = {}
    run.save(update_fields=["result"])
    assert send(api, "GET", f"/runs/{run.pk}")[1]["estimated"] is None


def test_a_part_is_held_out_by_share_by_list_and_given_back(api, collection):
    path = f"/collections/{collection.pk}/held-out"
    status, shown = send(api, "PUT", path, {"percent": 20, "seed": 3})
    assert (status, shown["held_out"]) == (200, 12)
    chosen = set(collection.images.filter(held_out=True).values_list("number", flat=True))
    assert send(api, "PUT", path, {"percent": 20, "seed": 3})[1]["held_out"] == 12
    assert set(collection.images.filter(held_out=True).values_list("number", flat=True)) == chosen
    collection.images.filter(number=5).update(path='name; "odd", really.png')
    _, shown = send(api, "PUT", path, {"paths": ["photos/004.png", 'name; "odd", really.png']})
    assert shown["held_out"] == 2
    assert set(collection.images.filter(held_out=True).values_list("number", flat=True)) == {4, 5}
    status, shown = send(api, "DELETE", path)
    assert (status, shown["held_out"]) == (200, 0)


@pytest.mark.parametrize(("body", "what"), [
    ({}, "percent"), ({"percent": 10, "paths": ["photos/004.png"]}, "percent"), ({"percent": 95}, "percent"),
    ({"percent": 10, "seed": -1}, "seed"), ({"paths": ["photos/999.png"]}, "paths"), ({"paths": []}, "paths"),
    ({"paths": ["a\0"]}, "paths"), ({"paths": [f"photos/{number:03d}.png" for number in range(60)]}, "paths")])
def test_a_part_that_cannot_be_held_out_is_refused_and_the_old_one_stays(api, collection, body, what):
    collection.images.filter(number=0).update(held_out=True)
    status, error = refused(api, "PUT", f"/collections/{collection.pk}/held-out", body)
    assert (status, error["what"]) == (422, what)
    assert collection.images.filter(held_out=True).count() == 1


def test_the_recommended_method_is_told_with_its_reason_and_cost(api, alice, collection):
    status, shown = send(api, "GET", f"/collections/{collection.pk}/recommendation")
    assert (status, shown["method"], shown["title"]) == (200, "must", "MUST")
    assert "3 class names and 60 images" in shown["reason"]
    assert shown["preset"] and "minute" in shown["cost"]
    assert 0 < shown["gpu_seconds"] < shown["cpu_seconds"]
    assert (shown["gpu"], shown["larger"]) == (None, None)
    assert set(shown["obstacles"]) == {"semimae"}
    beat("gpu.0.1@box", "gpu", on_gpu=True)
    _, shown = send(api, "GET", f"/collections/{collection.pk}/recommendation")
    assert (shown["gpu"], shown["cost"]) == (True, "under a minute")
    assert (shown["larger"]["backbone"], shown["larger"]["setting"]) == ("clip-vit-l14", "backbone")
    assert "about 16 minutes on the GPU here" in shown["larger"]["reason"] and shown["larger"]["seconds"] > 60
    unasked = rows.collection(alice, title="unasked", names=())
    _, shown = send(api, "GET", f"/collections/{unasked.pk}/recommendation")
    assert shown["method"] == "turtle"
    assert "Give class names" in shown["obstacles"]["must"]
    empty = rows.collection(alice, 0, title="empty", names=())
    assert send(api, "GET", f"/collections/{empty.pk}/recommendation")[0] == 200


@pytest.mark.parametrize("method", sorted(METHODS))
def test_the_shell_compares_a_run_with_the_same_baseline_as_the_web(api, collection, sent, method):
    rows.review(rows.run(collection, "zeroshot"), {0: 1})  # some methods learn from a label
    body = {"method": method, "settings": {"templates": "one"} if method == "must" else {}}
    status, begun = send(api, "POST", f"/collections/{collection.pk}/runs", body)
    assert status == 201, begun
    expected = baseline_of(method, parse(method, begun["settings"]), 3)
    if expected is None:
        assert begun["baseline"] is None
        return
    baseline = send(api, "GET", f"/runs/{begun['baseline']}")[1]
    assert (baseline["method"], baseline["settings"]) == (expected[0], asdict(expected[1]))
