"""What a run learns from beside its own images: labels, further collections, an earlier run's encoder."""

from __future__ import annotations

import json
import zipfile

import pytest

from tests.workers.conftest import DIGITS
from tests.workers.example_runs import MUST, answers
from webapp.collections.deletion import trash_collection
from webapp.collections.models import Collection
from webapp.review.actions import correct
from webapp.runs.models import Prediction
from workers import runs


@pytest.mark.parametrize(("method", "settings"), [
    ("semimae", {"warming_epochs": 0.0, "reconstruction_weight": 0.0}),
    ("finetune", {"classifier_from": "labels", "starts": 2})])
def test_what_learns_from_the_review_says_so_in_its_card_and_is_not_measured_by_it(make_run, execute, method, settings):
    earlier = execute(make_run("zeroshot", settings={"templates": "one"}))
    correct(earlier, earlier.owner, list(earlier.collection.images.values_list("pk", flat=True)[:12]), 3)
    run = execute(make_run(method, baseline=earlier, class_list_version=earlier.class_list_version,
                           settings={"epochs": 0.3, "batch_size": 16, "mirror": False, **settings}))
    assert (run.status, run.error) == ("succeeded", "")
    with zipfile.ZipFile(runs.run_folder(run.pk) / "package.zip") as package:
        assert "12 of them labelled by a person" in package.read("CARD.md").decode()
        assert json.loads(package.read("settings.json"))["settings"]["labelled_images"] == 12
    taught = set(earlier.collection.images.values_list("pk", flat=True)[:12])
    assert set(run.result["taught"]) == taught
    for one, figures in ((run, run.result["measured"]), (earlier, run.result["baseline"]["measured"])):
        right = [said.class_index == DIGITS.index(said.image.true_label.name)
                 for said in one.predictions.exclude(image__in=taught)]
        assert len(right) == 48
        assert figures["accuracy"] == pytest.approx(sum(right) / 48)


@pytest.mark.timeout(1200)
def test_a_run_adapts_to_further_collections_and_answers_its_own(make_run, execute, collection):
    more = Collection.objects.create(owner=collection.owner, name="secret")
    collection.images.filter(number__gte=40).update(collection=more)
    settings = MUST | {"epochs": 1.0, "least_kept": 0.01}
    run = execute(make_run("must", settings=settings, also=[more.pk]))
    assert (run.status, run.error) == ("succeeded", "")
    assert sum(run.result["histogram"]) == Prediction.objects.filter(run=run).count() == 40
    assert not Prediction.objects.filter(run=run, image__collection=more).exists()
    assert {image for image, _, _ in run.samples} <= set(collection.images.values_list("pk", flat=True))
    assert answers(execute(make_run("must", settings=settings))) != answers(run), "it learnt from them"
    assert answers(execute(make_run("must", settings=settings, also=[more.pk]))) == answers(run)
    with zipfile.ZipFile(runs.run_folder(run.pk) / "package.zip") as package:
        card = package.read("CARD.md").decode()
    assert "- Images: 40 (digits) and 20 of 1 further collection with the same names, without labels" in card
    assert "secret" not in card

    trash_collection(more)
    late = execute(make_run("must", settings=settings, also=[more.pk]))
    assert (late.status, late.retryable) == ("failed", False)
    assert f"collection {more.pk}, one of those that this run also adapts to, is not there any more" in late.error


def test_a_run_begins_with_an_earlier_one_s_encoder_and_says_so(make_run, execute):
    adapted = execute(make_run("must", settings=MUST | {"epochs": 1.0, "base_learning_rate": 0.1}))
    run = execute(make_run("zeroshot", settings={"templates": "one"}, start_from=adapted))
    assert (run.status, run.error) == ("succeeded", "")
    with zipfile.ZipFile(runs.run_folder(run.pk) / "package.zip") as package:
        assert f"Begun with the encoder of an adapted model: run {adapted.pk}" in package.read("CARD.md").decode()
    assert not (runs.run_folder(run.pk) / "start").exists()

    (runs.run_folder(adapted.pk) / "package.zip").unlink()
    late = execute(make_run("zeroshot", settings={"templates": "one"}, start_from=adapted))
    assert (late.status, f"run {adapted.pk}: its model package is gone" in late.error) == ("failed", True)
