"""Fetching from a folder or a bucket: by one process at a time, and for nothing where nobody wants it any more."""

from __future__ import annotations

import pytest

from core.errors import DataError
from tests.webapp.collections.pictures import png
from webapp.collections import ingest, sources, storage, wall
from webapp.collections.deletion import delete_collection
from webapp.collections.ingest import read_upload
from webapp.collections.models import Image, Refusal, Upload
from webapp.collections.sources import SourceAway
from webapp.collections.uploads import GIVEN_UP, give_up_waiting


@pytest.fixture
def waiting(collection):
    """Note a file of a folder that nobody has fetched yet."""
    return Upload.objects.create(collection=collection, name="museum/1.png", size_bytes=len(png(1)),
                                 received_bytes=len(png(1)), status="received", source="/museum/1.png", members_total=1)


@pytest.fixture
def while_fetching(monkeypatch):
    """Return a function that lets something happen when the bytes are there, before the fetching returns."""
    asked = []

    def arrange(happens) -> list[Upload]:
        def fetch(upload: Upload) -> None:
            asked.append(upload)
            with sources.arriving(upload) as part:
                part.write_bytes(png(1))
                happens()

        monkeypatch.setattr(ingest.folders, "fetch", fetch)
        return asked

    return arrange


def away() -> None:
    raise SourceAway("museum: it does not answer")


def damaged() -> None:
    raise DataError("museum/1.png", "has changed in its bucket")


def nothing() -> None:
    """Let the fetching end well."""


@pytest.mark.parametrize("ending", [nothing, away, damaged])
def test_what_is_given_up_while_it_is_fetched_stays_given_up(collection, waiting, while_fetching, settings, ending):
    def happens() -> None:
        assert give_up_waiting(collection) == 1
        ending()

    while_fetching(happens)
    read_upload(waiting)
    waiting.refresh_from_db()
    assert waiting.status == "refused"
    assert list(Refusal.objects.values_list("reason", flat=True)) == [GIVEN_UP]
    assert not list(settings.UPLOADS_ROOT.iterdir())
    assert not Image.objects.exists()
    assert wall.arrivals(collection).reading == 0


@pytest.mark.parametrize("ending", [nothing, away, damaged])
def test_what_is_deleted_while_it_is_fetched_leaves_nothing(
        collection, waiting, while_fetching, settings, ending, django_capture_on_commit_callbacks):
    def happens() -> None:
        with django_capture_on_commit_callbacks(execute=True):
            delete_collection(collection)
        ending()

    while_fetching(happens)
    read_upload(waiting)
    assert not Upload.objects.exists()
    assert not Refusal.objects.exists()
    for root in (settings.UPLOADS_ROOT, settings.MEDIA_ROOT):
        assert not [path for path in root.rglob("*") if path.is_file()]


def test_what_was_given_up_after_it_was_fetched_leaves_nothing(collection, waiting, settings, monkeypatch):
    def fetch(upload: Upload) -> None:
        give_up_waiting(collection)
        storage.upload_file(upload.pk).write_bytes(png(1))

    monkeypatch.setattr(ingest.folders, "fetch", fetch)
    read_upload(waiting)
    assert not list(settings.UPLOADS_ROOT.iterdir())
    assert not Image.objects.exists()


def test_a_message_that_comes_again_meanwhile_fetches_nothing(waiting, while_fetching, settings):
    asked = while_fetching(lambda: read_upload(waiting))
    read_upload(waiting)
    read_upload(waiting)
    assert len(asked) == 1
    assert (Upload.objects.get().status, Image.objects.count()) == ("done", 1)
    assert not list(settings.UPLOADS_ROOT.iterdir())


def test_an_answer_that_comes_too_late_changes_nothing(waiting, while_fetching):
    def happens() -> None:
        Upload.objects.update(status="done")
        damaged()

    while_fetching(happens)
    read_upload(waiting)
    assert Upload.objects.get().status == "done"
    assert not Refusal.objects.exists()


def test_what_a_killed_process_had_fetched_goes(waiting, while_fetching, settings):
    storage.fetched_part(waiting.pk).write_bytes(png(1)[:20])
    storage.fetch_lock(waiting.pk).touch()
    while_fetching(nothing)
    read_upload(waiting)
    assert Upload.objects.get().status == "done"
    assert not list(settings.UPLOADS_ROOT.iterdir())


def test_a_source_that_is_away_leaves_nothing_but_the_row_that_waits(waiting, while_fetching, settings):
    while_fetching(away)
    read_upload(waiting)
    waiting.refresh_from_db()
    assert (waiting.status, waiting.message) == ("received", "museum: it does not answer")
    assert not list(settings.UPLOADS_ROOT.iterdir())
