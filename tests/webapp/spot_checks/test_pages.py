"""What pages, the API and the model card say of a spot check, and whom the pages let answer it."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse

from tests.webapp.review.gallery import Gallery
from tests.webapp.spot_checks.answering import Verdict, answer_all
from webapp.spot_checks import samples
from webapp.spot_checks.models import SpotCheck
from webapp.spot_checks.outcome import outcome

pytestmark = pytest.mark.django_db


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
    said = alice.get(api).json()["spot_check"]
    baseline, difference = said.pop("baseline"), said.pop("difference")
    assert baseline["answered"] == 17
    assert difference["value"] == pytest.approx(found.accuracy - baseline["accuracy"])
    assert difference["low"] < difference["value"] < difference["high"]
    assert said == {
        "accuracy": found.accuracy, "low": found.low, "high": found.high, "answered": 17, "unsure": 3,
        "design": "uniform", "seed": check.seed, "run": gallery.run.pk}
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
        assert (f"on 20 images of a random sample, labelled by a person; {said[:-1]}; Zero-shot "
                in archive.read("CARD.md").decode())


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
