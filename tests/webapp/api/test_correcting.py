"""A person's word on a run's images, sent by a program."""

from __future__ import annotations

import json

import pytest

from tests.webapp.api.asking import V1, refused, send
from tests.webapp.runs import rows


def test_a_program_with_the_scope_corrects_many_images_at_once(api, collection):
    run = rows.run(collection)
    rows.answer(run)
    status, made = send(api, "POST", f"/runs/{run.pk}/corrections", {"images": [0, 3], "label": "owl"})
    assert (status, made) == (201, {"corrected": 2, "description": "labelled 2 images owl"})
    lines = b"".join(api.get(f"{V1}/runs/{run.pk}/labels.jsonl")).decode().splitlines()
    assert [json.loads(line)["label"] for line in lines[:4]] == ["owl", "dog", "owl", "owl"]


def test_a_program_brings_labels_as_csv(api, collection):
    run = rows.run(collection)
    rows.answer(run)
    first = run.predictions.order_by("image__number").first().image.path
    def bring(text):
        answer = api.post(f"{V1}/runs/{run.pk}/labels", text, content_type="text/csv")
        return answer.status_code, answer.json()

    assert bring(f"path,label\n{first},OWL\nelsewhere.png,owl\n") == (201, {
        "labelled": 1, "description": "took from a file the labels of 1 image", "unknown_paths": ["elsewhere.png"],
        "unknown_path_count": 1, "models_own": 0})
    status, refusal = bring(f"path,label\n{first},heffalump\n")
    assert (status, refusal["error"]["what"]) == (422, "labels CSV")
    assert "line 2: 'heffalump' is no class of this run" in refusal["error"]["reason"]


@pytest.mark.parametrize(("body", "word"), [
    ({"images": [0], "label": "eleven"}, "no class of this run"),
    ({"images": [10**6], "label": "owl"}, "no image 1000000"),
    ({"images": [10**30], "label": "owl"}, "less than or equal to 2147483647"),
    ({"images": [], "label": "owl"}, "at least 1 item")])
def test_a_correction_of_what_is_not_there_is_refused_by_name(api, collection, body, word):
    run = rows.run(collection)
    rows.answer(run)
    status, error = refused(api, "POST", f"/runs/{run.pk}/corrections", body)
    assert (status, word in error["reason"]) == (422, True)
