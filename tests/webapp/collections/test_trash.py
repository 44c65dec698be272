"""The trash: what is in it is nowhere, until it is restored or its thirty days are over."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from webapp.collections import deletion, storage
from webapp.collections.deletion import delete_collection, empty_trash, finish_deletions, restore_collection
from webapp.collections.models import Collection, Image, Upload
from webapp.runs.models import Run
from webapp.sharing.models import Membership
from workers.lease import Lease


@pytest.fixture
def trashed(collection, signed_in):
    Image.objects.create(collection=collection, number=0, path="a.png", sha256="0" * 64, file="images/a.png",
                         thumbnail="thumbnails/a.webp", width_px=8, height_px=8)
    Run.objects.create(collection=collection, owner=collection.owner, method="must")
    signed_in.post(f"/collections/{collection.pk}/delete/")
    collection.refresh_from_db()
    return collection


def test_what_is_in_the_trash_is_nowhere(trashed, signed_in, alice):
    image, run = trashed.images.get(), trashed.runs.get()
    for path in (f"/collections/{trashed.pk}/images/", f"/runs/{run.pk}/", f"/runs/{run.pk}/labels.csv",
                 f"/media/images/{image.pk}", f"/media/thumbnails/{image.pk}", f"/review/runs/{run.pk}/map.json",
                 f"/api/v1/collections/{trashed.pk}", f"/api/v1/runs/{run.pk}"):
        assert signed_in.get(path).status_code == 404, path
    assert signed_in.get("/api/v1/collections").json()["collections"] == []
    assert signed_in.post(f"/collections/{trashed.pk}/settings/", {"name": "x"}).status_code == 404
    assert "1 collection can be restored" in signed_in.get("/").content.decode()


def test_its_runs_pause_until_it_comes_back(trashed, signed_in):
    assert trashed.runs.get().status == "paused"
    said = signed_in.post(f"/collections/trash/{trashed.pk}/restore/", follow=True).content.decode()
    assert "Runs that were under way are paused" in said
    assert signed_in.post(f"/runs/{trashed.runs.get().pk}/resume/").status_code == 302
    assert trashed.runs.get().status == "queued"


def test_it_comes_back_whole(trashed, signed_in, charlie):
    Membership.objects.create(collection=trashed, user=charlie, role="viewer")
    assert trashed.name in signed_in.get("/collections/trash/").content.decode()
    assert signed_in.post(f"/collections/trash/{trashed.pk}/restore/").status_code == 302
    assert signed_in.get(f"/collections/{trashed.pk}/images/").status_code == 200
    assert (trashed.images.count(), trashed.runs.count(), trashed.memberships.count()) == (1, 1, 2)
    assert trashed.name not in signed_in.get("/collections/trash/").content.decode()


@pytest.mark.parametrize("role", [None, "viewer", "reviewer"])
def test_only_an_owner_restores_or_deletes_for_good(trashed, charlie, stranger, role):
    if role:
        Membership.objects.create(collection=trashed, user=charlie, role=role)
    assert trashed.name not in stranger.get("/collections/trash/").content.decode()
    for verb in ("restore", "delete"):
        address = f"/collections/trash/{trashed.pk}/{verb}/"
        assert stranger.post(address, {"confirm": trashed.name}).status_code == 404
    trashed.refresh_from_db()
    assert trashed.trashed_at is not None


def test_what_is_not_in_the_trash_is_not_deleted_for_good(collection, signed_in):
    address = f"/collections/trash/{collection.pk}/delete/"
    assert signed_in.post(address, {"confirm": collection.name}).status_code == 404
    assert Collection.objects.exists()


@pytest.mark.parametrize(("name", "typed", "is_it"), [
    ("Fu\u0308chse", "F\u00fcchse", True), ("F\u00fcchse", " Fu\u0308chse ", True), ("IMG  2020", "IMG 2020", True),
    ("IMG\u00a02020", "IMG 2020", True), ("IMG 2020", "IMG2020", False), ("Birds", "birds", False),
    ("m²", "m2", False)])
def test_it_is_deleted_for_good_by_its_name_as_the_page_shows_it(trashed, signed_in, name, typed, is_it):
    Collection.objects.filter(pk=trashed.pk).update(name=name)
    said = signed_in.post(f"/collections/trash/{trashed.pk}/delete/", {"confirm": typed}, follow=True).content.decode()
    assert ("is deleted for good" in said) == is_it
    assert ("is not the collection’s" in said.replace("&#x27;", "’")) != is_it
    assert Collection.objects.exists() != is_it


def test_after_thirty_days_it_is_gone(trashed, alice):
    kept = Collection.objects.create(owner=alice, name="kept", trashed_at=timezone.now() - timedelta(days=29))
    Collection.objects.filter(pk=trashed.pk).update(trashed_at=timezone.now() - timedelta(days=31))
    assert empty_trash() == 1
    assert list(Collection.objects.all()) == [kept]
    assert empty_trash() == 0


def test_what_was_restored_meanwhile_stays(trashed, signed_in):
    as_it_was_seen = Collection.objects.get(pk=trashed.pk)
    assert restore_collection(trashed)
    assert not delete_collection(as_it_was_seen)
    assert signed_in.get(f"/collections/{trashed.pk}/images/").status_code == 200


def test_whose_time_is_over_is_not_restored(trashed, signed_in):
    Collection.objects.filter(pk=trashed.pk).update(trashed_at=timezone.now() - timedelta(days=30))
    assert f"/trash/{trashed.pk}/" not in signed_in.get("/collections/trash/").content.decode()
    assert signed_in.post(f"/collections/trash/{trashed.pk}/restore/").status_code == 404
    assert not restore_collection(trashed)


def test_a_large_one_goes_in_slices_and_leaves_no_file(filled, monkeypatch, django_capture_on_commit_callbacks):
    collection, places = filled
    late = Upload.objects.create(collection=collection, name="b.png", size_bytes=1)
    storage.upload_file(late.pk).touch()
    monkeypatch.setattr(deletion, "ROWS_A_SLICE", 1)
    monkeypatch.setattr(deletion, "SLICES_AT_ONCE", 1)
    with django_capture_on_commit_callbacks(execute=True):
        assert delete_collection(collection)
        assert (Collection.objects.count(), Upload.objects.count()) == (1, 1)
        assert [empty_trash(), empty_trash()] == [1, 0]
    assert not Collection.objects.exists()
    assert not any(place.exists() for place in (*places, storage.upload_file(late.pk)))


def test_it_is_not_gone_before_the_worker_of_its_run_has_stopped(trashed, settings, django_capture_on_commit_callbacks):
    """Which writes its checkpoint as it stops."""
    restore_collection(trashed)
    run = trashed.runs.get()
    run.resume()
    token = Run.objects.claim(run.pk, "worker")
    trashed.refresh_from_db()
    with django_capture_on_commit_callbacks(execute=True):
        assert delete_collection(trashed)
        assert empty_trash() == 0
        assert Run.objects.fenced(run.pk, token).filter(cancel_requested=True).exists()
        checkpoint = settings.RUNS_ROOT / str(run.pk) / "checkpoint.safetensors"
        checkpoint.parent.mkdir(parents=True)
        checkpoint.touch()
        Lease(run.pk, token).cancel()
        assert empty_trash() == 1
    assert not checkpoint.parent.exists()


@pytest.fixture
def filled(collection, settings):
    """Return a collection with an upload and a run, and every place in which it has files."""
    upload = Upload.objects.create(collection=collection, name="a.png", size_bytes=1)
    run = Run.objects.create(collection=collection, owner=collection.owner, method="must")
    places = [settings.MEDIA_ROOT / storage.image_name(collection.pk, "ab", ".png"),
              settings.MEDIA_ROOT / storage.thumbnail_name(collection.pk, "ab"),
              settings.MEDIA_ROOT / storage.trial_name(run.pk), storage.upload_file(upload.pk),
              settings.RUNS_ROOT / str(run.pk) / "package.zip"]
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    return collection, places


def test_a_deletion_that_was_cut_off_after_its_commit_is_finished(filled, home):
    """What is to be done on commit is not done in this test's transaction: as if the process were killed there."""
    collection, places = filled
    delete_collection(collection)
    assert all(place.exists() for place in places)
    finish_deletions()
    assert not any(place.exists() for place in places)
    assert [path for path in home.rglob("*.json*") if path.is_file()] == []


def test_a_deletion_leaves_nothing_to_finish(filled, home, django_capture_on_commit_callbacks):
    collection, places = filled
    with django_capture_on_commit_callbacks(execute=True):
        delete_collection(collection)
    assert not any(place.exists() for place in places)
    assert storage.noted_deletions() == {}


def test_a_deletion_that_was_not_committed_takes_nothing(filled):
    collection, places = filled
    with pytest.raises(KeyboardInterrupt), transaction.atomic():
        delete_collection(collection)
        raise KeyboardInterrupt
    finish_deletions()
    assert all(place.exists() for place in places)
