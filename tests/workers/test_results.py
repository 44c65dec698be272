"""What a run comes to: an answer for every image, its figures, its pictures, its package; or words."""

from __future__ import annotations

import zipfile

import pytest

from core.data.members import HIDDEN
from tests.workers.conftest import DIGITS
from tests.workers.example_runs import MUST
from webapp.review.actions import correct, name_cluster
from webapp.review.confirmed import confirmed_labels
from webapp.review.names import class_names
from webapp.review.queries import agreement
from webapp.runs.models import Prediction
from workers import measuring, runs


def test_a_run_ends_with_an_answer_for_every_image_a_result_and_a_package(make_run, execute):
    run = execute(make_run("zeroshot", settings={"templates": "one"}))
    assert (run.status, run.error) == ("succeeded", "")
    assert run.attempt == 1 and run.lease_token == "" and run.finished_at and run.percent == 100
    assert sum(run.result["histogram"]) == sum(run.result["confidence_histogram"]) == 60
    assert set(run.result["measured"]) == {"accuracy", "mean_per_class", "nmi", "ami", "ari"}
    assert run.result["held_out"] is None and run.result["baseline"] is None
    for one in Prediction.objects.filter(run=run):
        assert len(one.top) == 5 and one.top[0][0] == one.class_index
        assert 0 <= one.map_x <= 1 and 0 <= one.map_y <= 1
    assert Prediction.objects.filter(run=run).count() == 60
    telling = Prediction.objects.filter(run=run).exclude(telling=None).values_list("telling", flat=True)
    assert sorted(telling) == list(range(30)), "half of all, each with its place"
    assert [path.name for path in runs.run_folder(run.pk).glob("package*")] == ["package.zip"]
    assert [line[20:] for line in run.log.splitlines()[-2:]] == ["stage: writing the answers", "succeeded"]
    before = run.finished_at
    assert execute(run).finished_at == before  # its message came twice


def test_a_run_is_compared_with_its_baseline_and_held_out_images_are_answered(make_run, execute, collection):
    collection.images.filter(number__lt=10).update(held_out=True)
    baseline = execute(make_run("kmeans", settings={"starts": 1}))
    run = execute(make_run("kmeans", settings={"starts": 1}, baseline=baseline, seed=1))
    assert run.result["baseline"]["run"] == baseline.pk
    assert 0 < run.result["baseline"]["agreement"] <= 1
    assert sum(run.result["histogram"]) == 50
    assert not Prediction.objects.filter(run=run, image__held_out=True).exclude(telling=None).exists()
    assert set(run.result["held_out"]) == {"hungarian_accuracy", "mean_per_class", "nmi", "ami", "ari"}
    assert Prediction.objects.filter(run=run).count() == 60


def test_a_method_that_counts_names_its_groups_from_the_list_and_is_measured_as_groups(make_run, execute, names):
    baseline = execute(make_run("zeroshot", settings={"templates": "one"}))
    run = execute(make_run("kmeans", settings={"starts": 1}, class_list_version=names))
    assert (run.status, run.error) == ("succeeded", "")
    assert set(run.result["class_names"]) == set(DIGITS) == set(class_names(run))
    assert "hungarian_accuracy" in run.result["measured"] and "accuracy" not in run.result["measured"]
    assert measuring.compare(run, baseline)["agreement"] == agreement(run, baseline), "matched, not by guessed names"
    name_cluster(run, run.owner, 0, "my own word")
    assert class_names(run)[0] == "my own word"
    correct(run, run.owner, [run.collection.images.first().pk], 1)
    assert confirmed_labels(run.collection, names) == {}, "a cluster's number is no name of the list"


def test_hidden_and_system_files_are_not_counted_as_refused(make_run, execute, collection):
    collection.refusals.create(path="notes.txt", reason="not an image")
    collection.refusals.create(path="Thumbs.db", reason=HIDDEN, left_out=True)
    run = execute(make_run("zeroshot", settings={"templates": "one"}))
    assert (run.status, run.result["refused"]) == ("succeeded", 1)


def test_what_the_method_draws_is_kept_with_the_run_and_what_a_killed_attempt_drew_is_not(make_run, execute):
    run = make_run("kmeans", settings={"starts": 1})
    for left in ("pictures-0badcafe", "pictures"):
        (runs.run_folder(run.pk) / left).mkdir(parents=True)
        (runs.run_folder(run.pk) / left / "half.png").touch()
    run = execute(run)
    assert (run.status, run.error) == ("succeeded", "")
    assert [file.name for file in runs.run_folder(run.pk).glob("pictures*/*")] == ["typical.png"]
    assert [one["name"] for one in run.result["pictures"]] == ["typical"]


@pytest.mark.parametrize(("settings", "words", "retryable"), [
    ({"backbone": "clip-vit-b16"}, "clip-vit-b16", True),
    ({"backbone": "nobody"}, "unknown foundation model 'nobody'", False),
], ids=["weights that cannot be had", "an unknown backbone"])
def test_a_run_that_cannot_be_done_fails_in_words(make_run, execute, settings, words, retryable):
    run = execute(make_run("zeroshot", settings=settings))
    assert (run.status, run.retryable) == ("failed", retryable)
    assert words in run.error and run.finished_at


def test_where_names_drift_the_row_and_the_card_say_that_zero_shot_was_kept(make_run, execute):
    run = execute(make_run("must", settings=MUST | {"epochs": 1.0, "base_learning_rate": 0.1, "least_kept": 1.0}))
    assert (run.status, run.error) == ("succeeded", "")
    (note,) = run.result["notes"]
    assert note.startswith("Zero-shot") and "was kept. MUST adapted" in note
    with zipfile.ZipFile(runs.run_folder(run.pk) / "package.zip") as package:
        assert note in package.read("CARD.md").decode()
