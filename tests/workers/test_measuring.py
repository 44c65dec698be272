"""What a run is measured on, and its baseline beside it: the images whose label the run did not learn from."""

from __future__ import annotations

import pytest

from tests.workers.conftest import DIGITS
from webapp.runs.models import Prediction, Run
from workers import measuring
from workers.problems import Photographs


@pytest.fixture
def answered(make_run, collection):
    """Return a function that makes a run with the true answers, but for those to the first so many images."""
    def make(method: str, wrong: int, **fields: object) -> Run:
        run = make_run(method, **fields)
        Prediction.objects.bulk_create([Prediction(
            run=run, image=image, confidence=1.0, margin=1.0, top=[],
            class_index=(DIGITS.index(image.true_label.name) + (place < wrong)) % 10,
        ) for place, image in enumerate(collection.images.select_related("true_label"))])
        return run

    return make


@pytest.fixture
def pair(answered, collection):
    """Return a zero-shot run that is wrong on twelve images, and a Semi-MAE run that learnt their labels."""
    told = list(collection.images.values_list("pk", flat=True)[:12])
    baseline = answered("zeroshot", 12)
    return baseline, answered("semimae", 0, baseline=baseline, result={"taught": told})


def beside(pair) -> dict[str, float] | None:
    """Return the figures of the baseline beside those of the run."""
    baseline, run = pair
    return measuring.compare(run, baseline, Photographs.of(run.collection))["measured"]


def test_the_baseline_of_a_run_that_learnt_from_labels_is_measured_on_the_other_images(pair):
    assert beside(pair)["accuracy"] == 1.0


def test_held_out_images_are_no_part_of_it(pair, collection):
    at = pair[0].predictions.get(image__number=20)
    at.class_index = (at.class_index + 1) % 10
    at.save(update_fields=["class_index"])
    assert beside(pair)["accuracy"] == pytest.approx(47 / 48)
    collection.images.filter(number=20).update(held_out=True)
    assert beside(pair)["accuracy"] == 1.0


def test_what_is_held_out_and_known_to_the_encoder_is_no_measure_of_the_baseline_either(pair, collection):
    collection.images.filter(number__in=(3, 20, 21)).update(held_out=True)
    at = pair[0].predictions.get(image__number=20)
    at.class_index = (at.class_index + 1) % 10
    at.save(update_fields=["class_index"])
    baseline, run = pair
    found = measuring.compare(run, baseline, Photographs.of(run.collection))["held_out"]
    assert found["accuracy"] == 0.5, "3 is one of the twelve"


def test_a_baseline_that_did_not_answer_all_of_them_has_no_figures(pair):
    pair[0].predictions.filter(image__number=20).delete()
    assert beside(pair) is None


def test_where_no_label_was_learnt_the_baseline_s_own_figures_hold(pair):
    baseline, run = pair
    run.result = {"taught": []}
    assert "measured" not in measuring.compare(run, baseline, Photographs.of(run.collection))


def test_where_the_images_of_the_run_are_not_known_any_more_its_baseline_has_no_figures(pair):
    baseline, run = pair
    assert "measured" not in measuring.compare(run, baseline)
