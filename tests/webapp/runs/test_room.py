"""What runs hold on disk: measured while it changes and once after, and room for a run asked before it starts."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from core.errors import DataError
from tests.webapp.api.asking import refused
from tests.webapp.runs import rows
from tests.webapp.runs.test_new import address, filled
from webapp.collections.deletion import empty_trash
from webapp.collections.models import Collection
from webapp.runs.deletion import trash_run
from webapp.runs.models import Run
from webapp.runs.room import SETTLED, features_folder, measure, package_bytes
from webapp.runs.starting import start_again, start_run

pytestmark = pytest.mark.django_db
LONG_AGO = timezone.now() - timedelta(days=1)


def held(run) -> tuple[int, bool]:
    run = Run.everything.get(pk=run.pk)
    return run.stored_bytes, run.is_measured


def test_the_reaper_measures_what_has_ended_once(collection, home):
    done = rows.run(collection, finished_at=LONG_AGO)
    package = rows.package(done, b"x" * 700)
    rows.picture(done, b"y" * 50)
    shared = features_folder(collection.pk)
    shared.mkdir(parents=True)
    (shared / "starter.safetensors").write_bytes(b"z" * 1000)
    (package.parent / "features").symlink_to(shared)  # as a worker leaves it: counted with the collection, not twice
    empty_trash()
    size_bytes, is_measured = held(done)
    link_bytes = (package.parent / "features").lstat().st_size
    assert is_measured and size_bytes in (750, 750 + link_bytes)
    collection.refresh_from_db()
    assert collection.features_bytes == 1000
    package.write_bytes(b"")
    with CaptureQueriesContext(connection) as asked:
        measure()
    assert held(done) == (size_bytes, True), "it is not looked at again"
    assert not [one for one in asked if one["sql"].startswith("UPDATE")]


def test_what_changes_is_measured_until_it_has_settled(collection):
    running = rows.run(collection, status="running")
    checkpoint = rows.package(running, b"x" * 300)
    rows.run(collection, status="queued")
    measure()
    assert held(running) == (300, False)
    checkpoint.write_bytes(b"x" * 900)
    measure()
    assert held(running) == (900, False)
    ends = {"status": "succeeded", "lease_token": "", "lease_expires_at": None}
    Run.objects.filter(pk=running.pk).update(**ends, finished_at=timezone.now())
    checkpoint.write_bytes(b"x" * 400)
    measure()
    assert held(running) == (400, False), "its process may still tidy up"
    Run.objects.filter(pk=running.pk).update(finished_at=timezone.now() - SETTLED - timedelta(seconds=1))
    measure()
    assert held(running) == (400, True)


def test_what_is_resumed_is_measured_anew(collection, sent):
    failed = rows.run(collection, status="failed", retryable=True, finished_at=LONG_AGO)
    rows.package(failed, b"x" * 10)
    measure()
    assert held(failed) == (10, True)
    failed.resume()
    assert held(failed) == (10, False)
    rows.package(failed, b"x" * 30)
    measure()
    assert held(failed) == (30, False)


def test_what_is_in_the_trash_is_measured_too(collection):
    run = rows.run(collection, finished_at=LONG_AGO)
    rows.package(run, b"x" * 10)
    trash_run(run)
    measure()
    assert held(run) == (10, True)


def test_a_run_needs_room_for_its_model(signed_in, collection, settings, sent):
    model_bytes = package_bytes(["clip-vit-b16"])
    assert 300 * 2**20 < model_bytes < 400 * 2**20
    settings.QUOTA_BYTES = 2**30
    earlier = rows.run(collection, "kmeans", stored_bytes=2**30 - model_bytes + 1)
    chosen = {"backbone": "clip-vit-b16"}
    with pytest.raises(DataError) as found:
        start_run(collection=collection, method="must", values=chosen)
    assert str(found.value).startswith(
        "room: The quota of alice is 1,024 MB, of which 696 MB are used (runs 696 MB); this needs 328 MB more; ")
    assert f"delete runs or a collection for good (run {earlier.pk} of this one holds 696 MB)" in str(found.value)
    assert not collection.runs.filter(method="must").exists()
    Run.objects.update(stored_bytes=2**30 - model_bytes)
    assert start_run(collection=collection, method="must", values=chosen).status == "queued"


@pytest.fixture
def used_up(settings):
    """Leave nothing of everybody's quota."""
    settings.QUOTA_BYTES = 10
    Collection.objects.update(features_bytes=11)


def test_the_form_the_api_and_the_button_say_so(signed_in, collection, used_up, sent):
    answer = signed_in.post(address(collection), filled(collection))
    assert answer.status_code == 422
    words = answer.content.decode()
    assert "Room: The quota of alice is" in words and "delete runs or a collection for good" in words
    status, said = refused(signed_in, "POST", f"/collections/{collection.pk}/runs", {"method": "kmeans"})
    assert status == 422 and said["what"] == "room"
    assert said["fix"] == "delete runs or a collection for good, or ask the administrator for more"
    done = rows.run(collection, "kmeans")
    assert "The quota of alice" in signed_in.post(
        reverse("runs:again", args=[done.pk]), follow=True).content.decode()
    assert Run.objects.count() == 1


def test_what_is_begun_goes_on_and_without_a_quota_nothing_is_asked(collection, used_up, settings, sent):
    paused = rows.run(collection, status="paused")
    assert paused.resume()
    settings.QUOTA_BYTES = 0
    assert start_again(rows.run(collection, "kmeans")).status == "queued"
