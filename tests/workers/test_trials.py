"""Images tried against a finished run's model."""

from __future__ import annotations

import io
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone
from PIL import Image as Picture

from tests.workers.conftest import held, processes, running, wait_for
from webapp.collections.deletion import delete_collection
from webapp.review import trying
from webapp.runs import presence
from webapp.runs.models import Prediction, Trial
from workers import reaper, trials
from workers.app import send
from workers.nodes import programs


def files() -> set[str]:
    """Return what lies there of trials."""
    root = Path(settings.MEDIA_ROOT)
    return {str(path.relative_to(root)) for path in (root / "trials").rglob("*") if path.is_file()}


def answered(trial: Trial) -> Trial:
    trials.answer(trial.pk)
    trial.refresh_from_db()
    return trial


def cut_off() -> bytes:
    content = io.BytesIO()
    Picture.effect_noise((64, 64), 90).save(content, "JPEG")
    return content.getvalue()[:-300]


def test_a_trial_is_answered_as_the_run_answered_and_only_its_thumbnail_stays(make_run, execute, collection, owner):
    run = execute(make_run("zeroshot", settings={"templates": "one"}))
    image = collection.images.get(number=7)
    trial = answered(trying.ask(run, owner, "seven.png", (Path(settings.MEDIA_ROOT) / image.file).read_bytes()))
    expected = Prediction.objects.get(run=run, image=image).top
    assert trial.status == "answered"
    assert [index for index, _ in trial.top] == [index for index, _ in expected]
    assert [share for _, share in trial.top] == pytest.approx([share for _, share in expected], abs=1e-4)
    assert files() == {trial.file}
    with Picture.open(Path(settings.MEDIA_ROOT) / trial.file) as thumbnail:
        assert (thumbnail.format, thumbnail.size) == ("WEBP", (8, 8))
    delete_collection(collection)
    assert files() == set()


@pytest.mark.timeout(300)
def test_an_image_is_answered_while_all_that_reads_archives_is_busy(
        make_run, execute, collection, owner, starters, broker):
    run = execute(make_run("zeroshot", settings={"templates": "one"}))
    _, readers, answerer = programs(["cpu"], 2)
    with running(readers), running(answerer), ExitStack() as busy:
        wait_for(lambda: presence.is_present("cpu") and presence.is_present("trial"), 120)
        for reader in processes("--queues", "cpu"):
            busy.enter_context(held(reader))
        image = Path(settings.MEDIA_ROOT) / collection.images.get(number=7).file
        trial = trying.ask(run, owner, "seven.png", image.read_bytes())
        assert send("answer_trial", trial.pk, "trial")
        wait_for(lambda: Trial.objects.get(pk=trial.pk).status != "asked", 120)
    trial.refresh_from_db()
    assert (trial.status, trial.error) == ("answered", "")
    delete_collection(collection)


def test_what_cannot_be_answered_says_why_by_name_and_nothing_of_it_stays(make_run, execute, owner, monkeypatch):
    run = execute(make_run("zeroshot", settings={"templates": "one"}))
    for name, content in {"drawing.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>", "cut.jpg": cut_off(),
                          "page.html": b"<script>1</script>", "empty.png": b""}.items():
        trial = answered(trying.ask(run, owner, name, content))
        assert trial.status == "failed" and trial.error.startswith(f"{name}: ")
    trial = trying.ask(run, owner, "gone.png", b"x")
    (Path(settings.MEDIA_ROOT) / trial.file).unlink()
    assert "gone.png: cannot be read" in answered(trial).error
    elsewhere = answered(trying.ask(make_run("zeroshot"), owner, "a.png", b"x"))
    assert elsewhere.status == "failed" and "has no model" in elsewhere.error
    assert files() == set()

    def crash(content: bytes, name: str) -> trying.Kept:
        raise SystemExit  # stands for the process that goes

    monkeypatch.setattr(trying, "keep", crash)
    evil = trying.ask(run, owner, "evil.png", b"x")
    for _ in range(3):
        with pytest.raises(SystemExit):
            trials.answer(evil.pk)
    assert "evil.png: the program that reads images ended 3 times" in answered(evil).error
    assert files() == set()


def test_what_was_sent_goes_when_nobody_answers_in_time(make_run, owner):
    trial = trying.ask(make_run("zeroshot"), owner, "a.png", b"x")
    assert files() == {trial.file}
    Trial.objects.update(created_at=timezone.now() - timedelta(minutes=11))
    reaper.end_forgotten_trials(timezone.now())
    trial.refresh_from_db()
    assert (trial.status, files()) == ("failed", set())
    trials.answer(trial.pk)  # its message comes late
    assert files() == set()
