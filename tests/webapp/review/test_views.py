"""The map's points and *try an image*."""

from __future__ import annotations

import html
import io
from pathlib import Path

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from PIL import Image

from tests.webapp.review.gallery import Gallery
from webapp.collections import room
from webapp.review import actions, trying, views
from webapp.runs import presence
from webapp.runs.models import Trial


@pytest.fixture
def owner(gallery: Gallery, client: Client) -> Client:
    client.force_login(gallery.owner)
    return client


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, str]]:
    """Return what was enqueued; no broker is asked."""
    messages: list[tuple[str, int, str]] = []
    monkeypatch.setattr(views, "send", lambda task, pk, queue: messages.append((task, pk, queue)))
    return messages


def _picture(size: int = 20, kind: str = "PNG") -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (size, size), "red").save(content, format=kind)
    return content.getvalue()


def _try(client: Client, gallery: Gallery, content: bytes, name: str = "red.png") -> object:
    return client.post(reverse("review:trials", args=[gallery.run.pk]), {"image": SimpleUploadedFile(name, content)})


def test_the_map_has_every_image_with_its_standing_class(gallery: Gallery, owner: Client) -> None:
    image = gallery.collection.images.get(number=3)
    actions.correct(gallery.run, gallery.owner, [image.pk], 9)
    points = owner.get(reverse("review:map", args=[gallery.run.pk])).json()
    place = points["ids"].index(image.pk)
    assert len(points["ids"]) == len(points["x"]) == len(points["y"]) == 60
    assert (points["classes"][place], points["by_person"][place]) == (9, 1)
    assert max(points["x"]) == points["units"]
    assert sum(points["by_person"]) == 1


@pytest.mark.parametrize("name", ["map", "trials"])
def test_another_person_sees_neither_map_nor_trials(gallery: Gallery, client: Client, name: str) -> None:
    address = reverse(f"review:{name}", args=[gallery.run.pk])
    assert client.get(address).status_code == 302
    client.force_login(gallery.stranger)
    assert client.get(address).status_code == 404
    assert client.get(reverse(f"review:{name}", args=[10**9])).status_code == 404


@pytest.mark.parametrize("content", [_picture(kind="JPEG"), b"<script>1</script>"], ids=["a picture", "no picture"])
def test_what_is_sent_is_kept_unread_made_a_row_and_enqueued(
        gallery: Gallery, owner: Client, sent: list[tuple[str, int, str]], content: bytes,
        django_capture_on_commit_callbacks: object) -> None:
    """The web process decodes nothing of strangers: a small file may fill its memory, or crash the decoder."""
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        answer = _try(owner, gallery, content, "../../red.jpg")
    assert answer.status_code == 200
    trial = Trial.objects.get()
    assert sent == [("workers.tasks.answer_trial", trial.pk, "trial")]
    assert (trial.owner, trial.name, trial.status) == (gallery.owner, "red.jpg", "asked")
    stored = Path(settings.MEDIA_ROOT) / trial.file
    assert stored.parent == Path(settings.MEDIA_ROOT) / "trials" / str(gallery.run.pk)
    assert stored.read_bytes() == content
    assert "Waiting" in answer.content.decode()
    assert owner.get(reverse("review:trial_image", args=[trial.pk])).status_code == 404


def test_only_the_thumbnail_of_an_answered_trial_is_sent(gallery: Gallery, owner: Client) -> None:
    trial = Trial.objects.create(run=gallery.run, owner=gallery.owner, file="trials/x.webp", status="answered")
    address = reverse("review:trial_image", args=[trial.pk])
    assert owner.get(address).status_code == 404
    stored = Path(settings.MEDIA_ROOT) / trial.file
    stored.parent.mkdir(exist_ok=True)
    stored.write_bytes(_picture(kind="WEBP"))
    answer = owner.get(address)
    assert (answer.content, answer["Content-Type"]) == (stored.read_bytes(), "image/webp")


def test_what_is_shown_no_more_goes_with_its_picture_and_what_waits_stays(
        gallery: Gallery, owner: Client, sent: list[tuple[str, int, str]]) -> None:
    for number, status in enumerate(["asked", *["answered"] * trying.SHOWN]):
        Trial.objects.create(run=gallery.run, owner=gallery.owner, file=f"trials/{number}.webp", status=status)
        (Path(settings.MEDIA_ROOT) / "trials").mkdir(exist_ok=True)
        (Path(settings.MEDIA_ROOT) / f"trials/{number}.webp").touch()
    Trial.objects.create(run=gallery.run, owner=gallery.stranger, status="answered")
    for _ in range(2):
        Trial.objects.create(run=gallery.run, owner=gallery.owner, status="failed", error="no")
    _try(owner, gallery, _picture())
    kept = {path.name for path in (Path(settings.MEDIA_ROOT) / "trials").iterdir() if path.is_file()}
    assert kept == {f"{number}.webp" for number in range(trying.SHOWN + 1)} - {"1.webp", "2.webp"}
    assert Trial.objects.filter(owner=gallery.owner).exclude(status="asked").count() == trying.SHOWN
    assert Trial.objects.filter(owner=gallery.stranger).exists()


def test_a_full_disk_takes_no_picture_and_says_so(
        gallery: Gallery, owner: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "SPARE_BYTES", 10**18)
    answer = _try(owner, gallery, _picture())
    assert (answer.status_code, "The server's disk is full" in html.unescape(answer.content.decode())) == (422, True)
    assert not Trial.objects.exists()


def test_an_answered_trial_shows_five_answers_and_a_failed_one_the_reason(gallery: Gallery, owner: Client) -> None:
    trial = Trial.objects.create(run=gallery.run, owner=gallery.owner, file="trials/x.png")
    address = reverse("review:trial", args=[trial.pk])
    assert "No worker is there" in owner.get(address).content.decode()
    presence.beat("trial.here", "trial")
    assert "Waiting for a worker" in owner.get(address).content.decode()
    Trial.objects.filter(pk=trial.pk).update(status="answered", top=[[3, 0.7], [1, 0.2]])
    answered = owner.get(address).content.decode()
    assert "data-waits" not in answered
    assert "three" in answered
    assert "70 %" in answered
    Trial.objects.filter(pk=trial.pk).update(status="failed", error="the <model> is gone")
    assert "the &lt;model&gt; is gone" in owner.get(address).content.decode()


def test_too_large_a_picture_is_refused(gallery: Gallery, owner: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "TRIAL_BYTES", 10)
    assert "larger than" in _try(owner, gallery, _picture()).content.decode()


def test_a_run_that_did_not_finish_has_no_model_to_ask(gallery: Gallery, owner: Client) -> None:
    type(gallery.run).objects.filter(pk=gallery.run.pk).update(status="failed", error="no")
    assert _try(owner, gallery, _picture()).status_code == 422
    assert not Trial.objects.exists()


def test_only_so_many_trials_may_wait(gallery: Gallery, owner: Client) -> None:
    Trial.objects.bulk_create([Trial(run=gallery.run, owner=gallery.owner, file="trials/x.png")
                               for _ in range(views.TRIALS_WAITING)])
    assert _try(owner, gallery, _picture()).status_code == 422


def test_another_persons_trial_is_not_there(gallery: Gallery, client: Client) -> None:
    trial = Trial.objects.create(run=gallery.run, owner=gallery.owner, file="trials/x.png")
    client.force_login(gallery.stranger)
    for name in ("trial", "trial_image"):
        assert client.get(reverse(f"review:{name}", args=[trial.pk])).status_code == 404


def test_a_form_without_its_token_is_refused(gallery: Gallery) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(gallery.owner)
    assert _try(client, gallery, _picture()).status_code == 403


def test_other_verbs_are_refused(gallery: Gallery, owner: Client) -> None:
    assert owner.post(reverse("review:map", args=[gallery.run.pk])).status_code == 405
    assert owner.delete(reverse("review:trials", args=[gallery.run.pk])).status_code == 405
