from __future__ import annotations

import csv
import io
import re
import zipfile
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse

from core.errors import ConfigError, DataError
from tests.webapp.review.gallery import NAMES, Gallery
from webapp.review import actions
from webapp.review.labels import labels_csv
from webapp.review.names import class_names
from webapp.runs.models import Run
from webapp.spot_checks import samples
from webapp.spot_checks.models import SampledImage, SpotCheck
from webapp.spot_checks.outcome import latest, outcome, standing

pytestmark = pytest.mark.django_db
Verdict = SampledImage.Verdict


def answer_all(check: SpotCheck, gallery: Gallery, skip: int = 0) -> None:
    """Answer as the truth is, but for the last `skip` images."""
    asked = list(check.sampled.select_related("image"))
    for one in asked[:len(asked) - skip]:
        assert samples.answer(check, one.place, Verdict.NAMED, gallery.truth[one.image.number])


def answer_by_group(run: Run, gallery: Gallery, said: dict[int, int]) -> tuple[SpotCheck, list[int]]:
    """Name the groups of a run, sample all its images and answer as it does, but for the groups that `said` swaps.

    Returns:
        The sample, and the group of each of its images.
    """
    for index, name in enumerate(NAMES):
        actions.name_cluster(run, gallery.owner, index, name)
    check = samples.start(run, gallery.owner, 60, "uniform")
    group_of = dict(run.predictions.values_list("image_id", "class_index"))
    groups = [group_of[one.image_id] for one in check.sampled.all()]
    for place, group in enumerate(groups):
        assert samples.answer(check, place, Verdict.NAMED, said.get(group, group))
    return check, groups


def share_right(run: Run, gallery: Gallery, images: set[int]) -> float:
    rows = run.predictions.filter(image__in=images).values_list("image__number", "class_index")
    return sum(gallery.truth[number] == index for number, index in rows) / len(rows)


@pytest.fixture
def alice(gallery: Gallery) -> Client:
    client = Client()
    client.force_login(gallery.owner)
    return client


def labels_of(run: Run) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO("".join(labels_csv(run)))))


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


def test_no_label_changes_until_the_person_says_so_and_that_can_be_undone(gallery: Gallery) -> None:
    before = labels_of(gallery.run)
    check = samples.start(gallery.run, gallery.owner, 10, "uniform")
    answer_all(check, gallery)
    assert labels_of(gallery.run) == before
    measured = outcome(check).measured
    samples.adopt(check, gallery.owner)
    by_person = [row for row in labels_of(gallery.run) if row["source"] == "person"]
    assert len(by_person) == 10
    assert outcome(SpotCheck.objects.get()).measured == measured  # of the model, not of the corrected labels
    actions.undo(gallery.run, gallery.owner)
    assert labels_of(gallery.run) == before


def test_clusters_are_checked_by_the_names_a_person_gave_them(gallery: Gallery) -> None:
    run = gallery.clusters
    assert "Name the clusters" in samples.obstacle(run)
    with pytest.raises(DataError, match="Name the clusters"):
        samples.start(run, gallery.owner, 10, "uniform")
    for index in (0, 1, 2):
        actions.name_cluster(run, gallery.owner, index, "round" if index < 2 else "straight")
    assert samples.choices(run) == [(0, "round"), (2, "straight")]
    check = samples.start(run, gallery.owner, 60, "uniform")
    predicted = dict(run.predictions.values_list("image_id", "class_index"))
    for one in check.sampled.all():
        samples.answer(check, one.place, Verdict.NAMED, 0)
    found, named = outcome(check).measured, [index for index in predicted.values() if index < 2]
    assert found is not None and found.accuracy == pytest.approx(len(named) / 60)  # two clusters, one name
    assert class_names(run)[3] == "cluster 4"


def test_what_was_said_stays_said_when_a_group_is_called_otherwise(gallery: Gallery) -> None:
    run = gallery.clusters
    check, groups = answer_by_group(run, gallery, {0: 1, 1: 0})
    actions.name_cluster(run, gallery.owner, 0, NAMES[1])
    found = outcome(check)
    assert {0, 1} <= set(groups)
    assert found.measured is not None and found.measured.accuracy == pytest.approx(1 - groups.count(1) / 60)
    assert {(one.person, one.answered) for one in found.mistakes} == {(NAMES[0], NAMES[1])}


def test_two_names_that_were_mixed_up_are_right_once_they_are_swapped(gallery: Gallery) -> None:
    run = gallery.clusters
    check, groups = answer_by_group(run, gallery, {0: 1, 1: 0})
    mixed_up = outcome(check).measured
    assert mixed_up is not None and mixed_up.accuracy == pytest.approx(1 - (groups.count(0) + groups.count(1)) / 60)
    actions.name_cluster(run, gallery.owner, 0, NAMES[1])
    actions.name_cluster(run, gallery.owner, 1, NAMES[0])
    found = outcome(check)
    assert found.measured is not None and (found.measured.accuracy, found.mistakes) == (1.0, ())


def test_corrections_are_made_of_the_names_that_were_given(gallery: Gallery) -> None:
    run = gallery.clusters
    check, groups = answer_by_group(run, gallery, {0: 1, 1: 0})
    actions.name_cluster(run, gallery.owner, 0, NAMES[1])
    samples.adopt(check, gallery.owner)
    by_person = [row["label"] for row in labels_of(run) if row["source"] == "person"]
    assert len(by_person) == 60 - groups.count(1), "no group is called so any more: nothing to correct to"
    assert by_person.count(NAMES[1]) == groups.count(0) and NAMES[0] not in by_person


def test_where_no_name_that_was_given_is_left_nothing_is_corrected(gallery: Gallery) -> None:
    check, _ = answer_by_group(gallery.clusters, gallery, dict.fromkeys(range(10), 0))
    actions.name_cluster(gallery.clusters, gallery.owner, 0, "nought")
    with pytest.raises(DataError, match="nothing to correct"):
        samples.adopt(check, gallery.owner)
    assert SpotCheck.objects.get().adopted is None


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


def test_the_run_page_the_api_and_the_card_say_what_was_measured(gallery: Gallery, alice: Client, settings) -> None:
    page, api = reverse("runs:detail", args=[gallery.run.pk]), f"/api/v1/runs/{gallery.run.pk}"
    package = Path(settings.RUNS_ROOT) / str(gallery.run.pk) / "package.zip"
    package.parent.mkdir(parents=True)
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("CARD.md", "## What is known\n\n- No figure was measured on true labels.\n\n## Limits\n")
        archive.writestr("model.safetensors", bytes(1000))
    assert "Start a spot check" in alice.get(page).content.decode()
    assert alice.get(api).json()["spot_check"] is None
    check = samples.start(gallery.run, gallery.owner, 20, "uniform")
    answer_all(check, gallery, skip=3)
    assert "Go on: 17 of 20 named" in alice.get(page).content.decode()
    for place in (17, 18, 19):
        samples.answer(check, place, Verdict.UNSURE)

    found = outcome(check).measured
    assert found is not None
    assert f"Measured {100 * found.accuracy:.0f} % right" in alice.get(page).content.decode()
    assert alice.get(api).json()["spot_check"] == {
        "accuracy": found.accuracy, "low": found.low, "high": found.high, "answered": 17, "unsure": 3,
        "design": "uniform", "seed": check.seed}
    sent = alice.get(reverse("runs:package", args=[gallery.run.pk]))
    with zipfile.ZipFile(io.BytesIO(b"".join(sent) if sent.streaming else sent.content)) as archive:
        assert f"- Measured by spot check: {100 * found.accuracy:.0f} % right" in archive.read("CARD.md").decode()
        assert archive.read("model.safetensors") == bytes(1000)
    samples.undo(check)
    alice.get(reverse("runs:package", args=[gallery.run.pk]))
    with zipfile.ZipFile(package) as archive:
        assert "No figure was measured" in archive.read("CARD.md").decode()
    assert list(package.parent.iterdir()) == [package]


def test_page_and_card_say_what_nobody_could_tell_and_how_often_a_sample_was_drawn(
        gallery: Gallery, alice: Client, settings) -> None:
    package = Path(settings.RUNS_ROOT) / str(gallery.run.pk) / "package.zip"
    package.parent.mkdir(parents=True)
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("CARD.md", "## What is known\n\n- No figure was measured on true labels.\n\n## Limits\n")
    for _ in range(2):
        answer_all(samples.start(gallery.run, gallery.owner, 50, "uniform"), gallery)
    check = samples.start(gallery.run, gallery.owner, 50, "uniform")
    answer_all(check, gallery, skip=30)
    for place in range(20, 50):
        samples.answer(check, place, Verdict.UNSURE)

    said = f"of 50 asked, 30 could not be told; sample 3 of 3 drawn, seed {check.seed}."
    page = alice.get(reverse("runs:detail", args=[gallery.run.pk])).content.decode()
    panel = page.partition('id="spot-check-title"')[2]
    assert f"20 images of a random sample that a person named, with its 95 % interval; {said}" in panel
    shown = alice.get(reverse("spot_checks:detail", args=[gallery.run.pk])).content.decode()
    assert "30 left out" in shown and f"(sample 3 of 3 drawn, seed {check.seed})" in shown
    alice.get(reverse("runs:package", args=[gallery.run.pk]))
    with zipfile.ZipFile(package) as archive:
        assert f"on 20 images of a random sample, labelled by a person; {said}\n" in archive.read("CARD.md").decode()


def test_runs_side_by_side_show_what_was_measured(gallery: Gallery, alice: Client) -> None:
    address = reverse("runs:compare", args=[gallery.collection.pk])
    assert "By spot check" not in alice.get(address).content.decode()
    check = samples.start(gallery.run, gallery.owner, 40, "uniform")
    answer_all(check, gallery)
    found, page = outcome(check).measured, alice.get(address).content.decode()
    assert found is not None and "By spot check" in page
    assert f"{100 * found.low:.0f}–{100 * found.high:.0f} %" in page


def test_a_stranger_and_a_foreign_sample_are_not_found(gallery: Gallery, alice: Client) -> None:
    check = samples.start(gallery.run, gallery.owner, 5, "uniform")
    other = Client()
    other.force_login(gallery.stranger)
    answer = reverse("spot_checks:answer", args=[gallery.run.pk])
    assert other.post(answer, {"spot_check": check.pk, "place": 0, "answer": "none"}).status_code == 404
    foreign = reverse("spot_checks:answer", args=[gallery.clusters.pk])
    assert alice.post(foreign, {"spot_check": check.pk, "place": 0, "answer": "none"}).status_code == 404
    assert alice.get(answer).status_code == 405
    assert outcome(check).done == 0


@pytest.mark.parametrize("form", [{"count": "-3", "design": "uniform"}, {"count": "50"}, {}])
def test_a_sample_without_sense_is_refused_in_words(gallery: Gallery, alice: Client, form: dict[str, str]) -> None:
    response = alice.post(reverse("spot_checks:start", args=[gallery.run.pk]), form, follow=True)
    assert "give a positive number" in response.content.decode()
    assert not SpotCheck.objects.exists()


def test_a_quick_look_of_twenty_is_offered_and_fifty_is_the_plain_choice(gallery: Gallery, alice: Client) -> None:
    shown = alice.get(reverse("spot_checks:detail", args=[gallery.run.pk])).content.decode()
    assert re.findall(r'name="count" value="(\d+)"( checked)?', shown) == [
        ("20", ""), ("50", " checked"), ("100", ""), ("200", "")]


def test_the_page_works_without_script_and_never_shows_the_models_answer(gallery: Gallery, alice: Client) -> None:
    page = reverse("spot_checks:detail", args=[gallery.run.pk])
    alice.post(reverse("spot_checks:start", args=[gallery.run.pk]), {"count": "50", "design": "uniform"})
    check = SpotCheck.objects.get()
    shown = alice.get(page).content.decode()
    assert "1 of 50" in shown and shown.count('name="answer"') == 12
    assert "confidence" not in shown.lower()
    response = alice.post(reverse("spot_checks:answer", args=[gallery.run.pk]),
                          {"spot_check": check.pk, "place": 0, "answer": "4"}, follow=True)
    assert "2 of 50" in response.content.decode()
    alice.post(reverse("spot_checks:undo", args=[gallery.run.pk]), {"spot_check": check.pk})
    assert "1 of 50" in alice.get(page).content.decode()
