"""From a collection to its labels over HTTP: the whole way, a correction on it, and nothing before the result."""

from __future__ import annotations

import csv
import io
import json

import pytest
from django.utils import timezone

from tests.webapp.api.asking import V1, refused, send
from tests.webapp.runs import rows
from webapp.collections.models import Collection, TrueLabel
from webapp.review.models import Correction, ReviewAction
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


@pytest.mark.parametrize("what", ["package", "pictures/typical", "labels.csv", "labels.jsonl", "predictions"])
def test_a_run_without_a_result_has_nothing_to_take_yet(api, collection, what):
    mine = rows.run(collection, status="running")
    status, error = refused(api, "GET", f"/runs/{mine.pk}/{what}")
    assert (status, error["what"]) == (409, f"run {mine.pk}")
