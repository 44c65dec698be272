"""Samples of a run's images: drawn, answered, taken back, and what they measure."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from core.errors import ConfigError, DataError
from tests.webapp.review.gallery import Gallery
from tests.webapp.spot_checks.answering import Verdict, answer_all
from webapp.review import actions
from webapp.runs.models import Run
from webapp.spot_checks import samples
from webapp.spot_checks.models import SpotCheck
from webapp.spot_checks.outcome import latest, outcome, standing

pytestmark = pytest.mark.django_db


def share_right(run: Run, gallery: Gallery, images: set[int]) -> float:
    rows = run.predictions.filter(image__in=images).values_list("image__number", "class_index")
    return sum(gallery.truth[number] == index for number, index in rows) / len(rows)


@pytest.mark.parametrize("design", ["uniform", "stratified"])
def test_right_answers_measure_the_run_and_its_baseline_on_the_same_images(gallery: Gallery, design: str) -> None:
    check = samples.start(gallery.run, gallery.owner, 40, design)
    answer_all(check, gallery, skip=1)
    assert outcome(check).measured is None and standing(gallery.run) is None
    last = check.sampled.get(place=39)
    samples.answer(check, 39, Verdict.NAMED, gallery.truth[last.image.number])
    found = standing(gallery.run)
    assert found is not None and found.measured is not None and found.baseline is not None
    assert found.measured.answered == 40
    if design == "uniform":
        asked = set(check.sampled.values_list("image_id", flat=True))
        assert found.measured.accuracy == pytest.approx(share_right(gallery.run, gallery, asked))
        assert found.baseline.accuracy == pytest.approx(share_right(gallery.baseline, gallery, asked))
    assert found.measured.low < share_right(gallery.run, gallery, set(
        gallery.collection.images.values_list("pk", flat=True))) < found.measured.high
    assert {one.answered != one.person for one in found.mistakes} == {True}


def test_a_whole_collection_is_measured_exactly(gallery: Gallery) -> None:
    check = samples.start(gallery.run, gallery.owner, 200, "stratified")
    answer_all(check, gallery)
    found = outcome(check).measured
    assert found is not None and found.width == 0
    assert found.accuracy == pytest.approx(share_right(gallery.run, gallery, set(
        gallery.collection.images.values_list("pk", flat=True))))


def test_a_run_is_not_asked_about_what_it_was_told(gallery: Gallery, alice: Client) -> None:
    told = list(gallery.run.predictions.values_list("image_id", flat=True)[:40])
    Run.objects.filter(pk=gallery.run.pk).update(result=gallery.run.result | {"taught": told})
    gallery.run.refresh_from_db()
    offered = alice.get(reverse("spot_checks:detail", args=[gallery.run.pk])).context["images"]
    assert offered == gallery.run.predictions.count() - len(told)
    check = samples.start(gallery.run, gallery.owner, 200, "uniform")
    assert not check.sampled.filter(image__in=told).exists()
    answer_all(check, gallery)
    rest = set(gallery.run.predictions.exclude(image__in=told).values_list("image_id", flat=True))
    found = outcome(check).measured
    assert found is not None and (found.answered, found.width) == (len(rest), 0), "all of the rest was asked"
    assert found.accuracy == pytest.approx(share_right(gallery.run, gallery, rest))


def test_none_of_these_is_wrong_and_cannot_tell_counts_for_nothing(gallery: Gallery) -> None:
    check = samples.start(gallery.run, gallery.owner, 10, "uniform")
    asked = list(check.sampled.select_related("image"))
    predicted = dict(gallery.run.predictions.values_list("image_id", "class_index"))
    for one in asked[:6]:
        samples.answer(check, one.place, Verdict.NAMED, predicted[one.image_id])
    for one in asked[6:8]:
        samples.answer(check, one.place, Verdict.NONE)
    for one in asked[8:]:
        samples.answer(check, one.place, Verdict.UNSURE)
    found = outcome(check)
    assert found.measured is not None and found.measured.accuracy == pytest.approx(6 / 8)
    assert (found.unsure, [one.person for one in found.mistakes]) == (2, ["none of them"] * 2)


def test_where_nothing_could_be_told_nothing_is_measured(gallery: Gallery) -> None:
    check = samples.start(gallery.run, gallery.owner, 5, "uniform")
    for place in range(5):
        samples.answer(check, place, Verdict.UNSURE)
    assert outcome(check).is_finished and outcome(check).measured is None and standing(gallery.run) is None


def test_an_answer_stands_until_it_is_undone(gallery: Gallery) -> None:
    check = samples.start(gallery.run, gallery.owner, 5, "uniform")
    assert samples.answer(check, 0, Verdict.NAMED, 3)
    assert not samples.answer(check, 0, Verdict.NAMED, 4)  # a second click of a slow page
    samples.answer(check, 1, Verdict.NONE)
    samples.undo(check)
    assert list(check.sampled.values_list("verdict", "class_index"))[:2] == [("named", 3), ("open", None)]
    samples.undo(check)
    samples.undo(check)
    assert outcome(check).done == 0


@pytest.mark.parametrize(("verdict", "index"), [
    ("named", None), ("named", 10), ("none", 1), ("open", None), ("x", None)])
def test_an_answer_that_means_nothing_is_refused(gallery: Gallery, verdict: str, index: int | None) -> None:
    check = samples.start(gallery.run, gallery.owner, 5, "uniform")
    with pytest.raises(ConfigError):
        samples.answer(check, 0, verdict, index)
    assert outcome(check).done == 0


def test_another_sample_is_another_draw_and_the_newest_finished_one_stands(gallery: Gallery) -> None:
    first = samples.start(gallery.run, gallery.owner, 20, "uniform")
    answer_all(first, gallery)
    second = samples.start(gallery.run, gallery.owner, 20, "uniform")
    assert second.seed == first.seed + 1
    assert list(first.sampled.values_list("image", flat=True)) != list(second.sampled.values_list("image", flat=True))
    found, begun = standing(gallery.run), latest(gallery.run)
    assert found is not None and begun is not None
    assert (found.spot_check, begun.spot_check) == (first, second)
    assert found.measured is not None and found.measured.provisos == (
        f"sample 1 of 2 drawn, seed {first.seed}",), "an answer taken back hides no sample"


def test_a_second_click_draws_no_second_sample_and_adopts_nothing_twice(gallery: Gallery) -> None:
    first = samples.start(gallery.run, gallery.owner, 20, "uniform")
    assert samples.start(gallery.run, gallery.owner, 20, "uniform") == first
    assert samples.start(gallery.run, gallery.owner, 30, "uniform") != first
    check = samples.start(gallery.run, gallery.owner, 20, "uniform")
    answer_all(check, gallery)
    for _ in range(2):
        samples.adopt(SpotCheck.objects.get(pk=check.pk), gallery.owner)
    assert gallery.run.review_actions.count() == 1


def test_what_was_adopted_is_taken_back_in_review_first(gallery: Gallery, alice: Client) -> None:
    """An answer changed afterwards would leave the wrong correction standing."""
    check = samples.start(gallery.run, gallery.owner, 5, "uniform")
    answer_all(check, gallery)
    samples.adopt(check, gallery.owner)
    check.refresh_from_db()
    page = reverse("spot_checks:detail", args=[gallery.run.pk])
    assert "Undo the last answer" not in alice.get(page).content.decode()
    refused = alice.post(reverse("spot_checks:undo", args=[gallery.run.pk]), {"spot_check": check.pk},
                         headers={"HX-Request": "true"})
    assert "undo those in Review first" in refused.content.decode()
    assert outcome(check).is_finished
    actions.undo(gallery.run, gallery.owner)
    samples.undo(SpotCheck.objects.get(pk=check.pk))
    assert outcome(check).done == 4


def test_a_run_that_learnt_every_label_has_no_image_to_be_asked(gallery: Gallery) -> None:
    every = list(gallery.run.predictions.values_list("image_id", flat=True))
    Run.objects.filter(pk=gallery.run.pk).update(result=gallery.run.result | {"taught": every})
    gallery.run.refresh_from_db()
    assert "none is left to measure it by" in samples.obstacle(gallery.run)
    with pytest.raises(DataError, match="none is left"):
        samples.start(gallery.run, gallery.owner, 20, "uniform")


def test_a_viewer_sees_what_stands_and_is_offered_nothing_to_answer(gallery: Gallery) -> None:
    gallery.collection.memberships.create(user=gallery.stranger, role="viewer")
    viewer = Client()
    viewer.force_login(gallery.stranger)
    answer_all(samples.start(gallery.baseline, gallery.owner, 20, "uniform"), gallery)
    lent = viewer.get(reverse("runs:detail", args=[gallery.run.pk])).content.decode()
    there = reverse("spot_checks:detail", args=[gallery.baseline.pk])
    assert f'href="{there}">Look at the spot check' in lent and "for this run alone" not in lent
    samples.start(gallery.baseline, gallery.owner, 30, "uniform")
    assert "Go on" not in viewer.get(reverse("runs:detail", args=[gallery.baseline.pk])).content.decode()
    assert "Measured accuracy" in viewer.get(there).content.decode()
