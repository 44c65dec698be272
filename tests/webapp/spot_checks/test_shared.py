"""One sample measures every run that answers the same images in the same names, and decides between two of them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.webapp.api.asking import send
from tests.webapp.api.conftest import program
from tests.webapp.review.gallery import Gallery
from tests.webapp.spot_checks.answering import Verdict, answer_all
from webapp.review.actions import correct_each
from webapp.runs import figures
from webapp.runs.deletion import restore_run, trash_run
from webapp.runs.models import Prediction, Run
from webapp.spot_checks import samples
from webapp.spot_checks.models import SpotCheck
from webapp.spot_checks.outcome import outcome, standing

pytestmark = pytest.mark.django_db


def named(gallery: Gallery, run: Run, count: int, design: str = "uniform") -> SpotCheck:
    """Return a sample of a run that a person named to its end."""
    check = samples.start(run, gallery.owner, count, design)
    answer_all(check, gallery)
    return check


def share_right(run: Run, gallery: Gallery, without: list[int] = ()) -> float:
    rows = run.predictions.exclude(image__in=without).values_list("image__number", "class_index")
    return sum(gallery.truth[number] == index for number, index in rows) / len(rows)


@pytest.mark.parametrize("design", ["uniform", "stratified"])
def test_what_was_named_for_the_baseline_measures_the_run(gallery: Gallery, design: str) -> None:
    check = named(gallery, gallery.baseline, 40, design)
    ours, theirs = standing(gallery.run), standing(gallery.baseline)
    assert ours is not None and theirs is not None and ours.spot_check == theirs.spot_check == check
    assert (ours.is_borrowed, theirs.is_borrowed) == (True, False)
    assert ours.baseline is not None and theirs.measured is not None and ours.measured is not None
    assert ours.baseline.accuracy == theirs.measured.accuracy
    assert ours.measured.low < share_right(gallery.run, gallery) < ours.measured.high
    assert ours.difference is not None
    assert ours.difference.value == pytest.approx(ours.measured.accuracy - theirs.measured.accuracy)
    assert ours.measured.provisos == (f"the sample was drawn for Zero-shot {gallery.baseline.pk}",)
    assert theirs.difference is None, "a baseline has none"


def test_a_whole_collection_is_exact_for_each(gallery: Gallery) -> None:
    named(gallery, gallery.baseline, 200, "stratified")
    found = standing(gallery.run)
    assert found is not None and found.measured is not None and found.difference is not None
    assert found.measured.accuracy == pytest.approx(share_right(gallery.run, gallery))
    assert found.difference.low == found.difference.high == pytest.approx(
        share_right(gallery.run, gallery) - share_right(gallery.baseline, gallery))


def test_a_runs_own_sample_stands_before_anothers(gallery: Gallery) -> None:
    own = named(gallery, gallery.run, 20)
    named(gallery, gallery.baseline, 40)
    found = standing(gallery.run)
    assert found is not None and found.spot_check == own


def taught(run: Run, images: list[int]) -> Run:
    """Return the run as one that learnt the labels of these images."""
    Run.objects.filter(pk=run.pk).update(result=run.result | {"taught": images})
    return Run.objects.get(pk=run.pk)


def correct(gallery: Gallery, images: list[int]) -> None:
    """Say of these images what they are, in the review of the baseline."""
    number = dict(gallery.collection.images.values_list("pk", "number"))
    correct_each(gallery.baseline, gallery.owner, {one: gallery.truth[number[one]] for one in images}, "corrected")


def test_what_the_run_was_taught_before_the_draw_is_left_out_of_anothers_sample(gallery: Gallery) -> None:
    told = list(gallery.run.predictions.values_list("image_id", flat=True)[:25])
    correct(gallery, told)
    run = taught(gallery.run, told)
    named(gallery, gallery.baseline, 200)
    found = standing(run)
    assert found is not None and found.measured is not None
    assert (found.measured.answered, found.measured.width) == (35, 0)
    assert found.measured.accuracy == pytest.approx(share_right(run, gallery, told))


def test_what_a_sample_taught_leaves_no_sample(gallery: Gallery) -> None:
    """Adopted are the images that were named: what is left would be those of no class, all of them wrong."""
    check = samples.start(gallery.baseline, gallery.owner, 40, "uniform")
    answer_all(check, gallery, skip=5)
    for place in range(35, 40):
        samples.answer(check, place, Verdict.NONE)
    samples.adopt(check, gallery.owner)
    run = taught(gallery.run, list(check.sampled.filter(verdict=Verdict.NAMED).values_list("image_id", flat=True)))
    assert standing(run) is None
    assert standing(gallery.baseline) is not None


def test_what_its_own_run_was_taught_is_missing_from_no_other_run_s_sample(gallery: Gallery) -> None:
    """People correct what is wrong: the rest is no sample of a run that did not learn it."""
    number = dict(gallery.collection.images.values_list("pk", "number"))
    wrong = [image for image, index in gallery.run.predictions.values_list("image_id", "class_index")
             if gallery.truth[number[image]] != index]
    correct(gallery, wrong)
    learner = taught(gallery.baseline, wrong)
    named(gallery, learner, 20)
    assert standing(learner) is not None
    assert standing(gallery.run) is None
    assert standing(taught(gallery.run, wrong)) is not None, "a run that learnt the same is measured"


@pytest.mark.parametrize("change", ["other images", "more images", "names", "clusters"])
def test_a_sample_says_nothing_of_other_images_or_names(gallery: Gallery, change: str) -> None:
    named(gallery, gallery.baseline, 20)
    run = gallery.run
    if change == "other images":  # as many, but one was set aside in between, and another brought back
        Prediction.objects.filter(run=gallery.baseline, image__number=59).delete()
        Prediction.objects.filter(run=run, image__number=58).delete()
    elif change == "more images":
        Prediction.objects.filter(run=gallery.baseline, image__number=59).delete()
    elif change == "names":
        other = run.class_list_version.class_list.versions.create(number=2, names=["a", "b"], created_by=gallery.owner)
        Run.objects.filter(pk=run.pk).update(class_list_version=other)
        run.refresh_from_db()
    else:
        run = gallery.clusters
    assert standing(run) is None


def test_the_guard_gives_way_to_what_was_measured(gallery: Gallery, alice: Client) -> None:
    lopsided = gallery.run.result | {"histogram": [51, 1, 1, 1, 1, 1, 1, 1, 1, 1]}
    Run.objects.filter(pk=gallery.run.pk).update(result=lopsided)
    gallery.run.refresh_from_db()
    page = reverse("runs:detail", args=[gallery.run.pk])
    assert figures.objection(gallery.run) is not None
    assert "Keep the baseline" in alice.get(page).content.decode()
    owner = program(gallery.owner)
    assert "Keep the baseline" in send(owner, "GET", f"/runs/{gallery.run.pk}")[1]["objection"]
    check = named(gallery, gallery.baseline, 200)
    measured = alice.get(reverse("spot_checks:detail", args=[gallery.baseline.pk]))
    assert [one.run for one in measured.context["others"]] == [gallery.run]
    assert f"MUST {gallery.run.pk}</a>" in measured.content.decode()
    shown = alice.get(page).content.decode()
    assert "Keep the baseline" not in shown
    assert "Zero-shot has " in shown and f"See what was named for Zero-shot {gallery.baseline.pk}" in shown
    said = send(owner, "GET", f"/runs/{gallery.run.pk}")[1]
    assert (said["objection"], said["spot_check"]["run"]) == ("", gallery.baseline.pk)
    assert said["spot_check"]["difference"]["low"] > 0
    table = send(owner, "GET", f"/collections/{gallery.collection.pk}/comparison")[1]["runs"]
    assert {row["run"]: row["spot_check"] and row["spot_check"]["run"] for row in table} == {
        gallery.baseline.pk: check.run_id, gallery.run.pk: check.run_id, gallery.run.pk + 1: None,
        gallery.clusters.pk: None}


def test_a_run_that_is_shown_to_be_worse_is_objected_to(gallery: Gallery, alice: Client) -> None:
    Run.objects.filter(pk=gallery.baseline.pk).update(baseline=gallery.run)  # the other way round
    Run.objects.filter(pk=gallery.run.pk).update(baseline=None)
    baseline = Run.objects.get(pk=gallery.baseline.pk)
    assert figures.objection(baseline) is None
    check = named(gallery, baseline, 60)
    found = outcome(check, baseline)
    assert found.difference is not None and found.difference.is_loss
    shown = alice.get(reverse("runs:detail", args=[baseline.pk])).content.decode()
    assert "Keep the baseline" in shown and "of 60 random images that a person named" in shown


def test_the_card_of_each_run_says_what_was_measured_and_forgets_it(gallery: Gallery, alice: Client, settings) -> None:
    package = Path(settings.RUNS_ROOT) / str(gallery.run.pk) / "package.zip"
    package.parent.mkdir(parents=True)
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("CARD.md", "## What is known\n\n- No figure was measured on true labels.\n\n## Limits\n")
    check = named(gallery, gallery.baseline, 50)

    def card() -> str:
        alice.get(reverse("runs:package", args=[gallery.run.pk]))
        with zipfile.ZipFile(package) as archive:
            return archive.read("CARD.md").decode()

    assert "- Measured by spot check: " in card()
    assert f"; the sample was drawn for Zero-shot {gallery.baseline.pk}; Zero-shot " in card()
    samples.undo(check)
    assert "No figure was measured on true labels." in card() and Verdict.OPEN in check.sampled.values_list(
        "verdict", flat=True)


def test_images_can_be_named_for_the_baseline_while_the_run_is_under_way(gallery: Gallery, alice: Client) -> None:
    Run.objects.filter(pk=gallery.run.pk).update(status="queued", finished_at=None)
    page, live = (reverse(f"runs:{name}", args=[gallery.run.pk]) for name in ("detail", "live"))
    start = f'href="{reverse("spot_checks:detail", args=[gallery.baseline.pk])}">Name images meanwhile</a>'
    assert start in alice.get(page).content.decode() and start in alice.get(live).content.decode()
    check = samples.start(gallery.baseline, gallery.owner, 20, "uniform")
    assert "Go on: 0 of 20 named" in alice.get(live).content.decode()
    answer_all(check, gallery)
    assert "20 random images have been named for Zero-shot" in alice.get(live).content.decode()
    Run.objects.filter(pk=gallery.run.pk).update(status="succeeded", finished_at=timezone.now())
    assert "the sample was drawn for Zero-shot" in alice.get(page).content.decode()


@pytest.mark.parametrize("why", ["the baseline is not done", "groups bear no names", "an image was set aside since"])
def test_nothing_is_named_for_a_run_that_it_would_not_measure(gallery: Gallery, alice: Client, why: str) -> None:
    run = gallery.clusters if why.startswith("groups") else gallery.run
    Run.objects.filter(pk=run.pk).update(status="queued", finished_at=None)
    if why.startswith("an image"):
        gallery.collection.images.filter(number=3).update(set_aside=True)
    elif run == gallery.run:
        Run.objects.filter(pk=gallery.baseline.pk).update(status="queued", finished_at=None)
    assert "While you wait" not in alice.get(reverse("runs:detail", args=[run.pk])).content.decode()


def test_a_sample_goes_into_the_trash_with_its_run_and_comes_back(gallery: Gallery, alice: Client) -> None:
    other = Run.objects.get(pk=gallery.run.pk)
    other.pk = None
    other.save()  # a second run of the same method, that the first one's sample measures
    Prediction.objects.bulk_create(
        [Prediction(run=other, image_id=image, class_index=index, confidence=0.9, margin=0.8, top=[])
         for image, index in gallery.run.predictions.values_list("image_id", "class_index")])
    named(gallery, gallery.run, 20)
    assert standing(other) is not None
    page = alice.get(reverse("runs:detail", args=[gallery.run.pk])).content.decode()
    assert "answers for <strong>20 images</strong> of its spot checks" in page
    trash_run(gallery.run)
    assert standing(other) is None
    restore_run(Run.everything.get(pk=gallery.run.pk))
    assert standing(other) is not None
