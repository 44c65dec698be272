"""Runs from the queue to their end, in real child processes."""

from __future__ import annotations

from webapp.runs.models import Prediction
from workers.runs import run_folder


def test_a_run_ends_with_an_answer_for_every_image_a_result_and_a_package(make_run, execute):
    run = execute(make_run("zeroshot", settings={"templates": "one"}))
    assert (run.status, run.error) == ("succeeded", "")
    assert run.attempt == 1 and run.lease_token == "" and run.finished_at and run.percent == 100
    predictions = list(Prediction.objects.filter(run=run).order_by("image__number"))
    assert len(predictions) == 60
    assert sum(run.result["histogram"]) == sum(run.result["confidence_histogram"]) == 60
    assert set(run.result["measured"]) == {"accuracy", "mean_per_class", "nmi", "ami", "ari"}
    for one in predictions:
        assert len(one.top) == 5 and one.top[0][0] == one.class_index
        assert 0 <= one.map_x <= 1 and 0 <= one.map_y <= 1
    assert [path.name for path in run_folder(run.pk).glob("package*")] == ["package.zip"]
