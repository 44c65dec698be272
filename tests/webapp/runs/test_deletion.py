"""Runs in the trash: nowhere until they are restored or their thirty days are over; refused while they are needed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError
from django.urls import reverse
from django.utils import timezone

from core.errors import DataError
from tests.webapp.runs import rows
from webapp.audit.trail import history
from webapp.collections.deletion import delete_collection, empty_trash, restore_collection, trash_collection
from webapp.collections.models import TRASH_LIFETIME, Collection
from webapp.review.confirmed import confirmed_labels
from webapp.runs import comparison
from webapp.runs.deletion import delete_run, restore_run, trash_run
from webapp.runs.further import earlier_run
from webapp.runs.models import Run, Trial
from webapp.runs.room import features_folder
from webapp.runs.starting import adapted_runs, question_of, start_again, start_run
from webapp.sharing.models import Membership

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(collection):
    """Return a finished run with answers, a file and what a person said of two images."""
    made = rows.run(collection, "zeroshot")
    rows.answer(made)
    rows.review(made, {0: 1, 1: 2})
    rows.package(made)
    return made


def post(client, run, name):
    return client.post(reverse(f"runs:{name}", args=[run.pk]), follow=True)


def shown(client, collection) -> str:
    return client.get(reverse("collections:runs", args=[collection.pk])).content.decode()


def test_what_is_in_the_trash_is_nowhere(signed_in, collection, alice, run, sent):
    other = rows.run(collection, "kmeans")
    trial = Trial.objects.create(run=run, owner=alice, file="trials/x")
    assert len(confirmed_labels(collection, collection.class_list_version)) == 2
    trash_run(run)
    at = f"/runs/{run.pk}/"
    for path in (at, f"{at}live/", f"{at}points/", f"{at}log.txt", f"{at}package/", f"{at}labels.csv", f"{at}review/",
                 f"/review/runs/{run.pk}/map.json", f"/review/trials/{trial.pk}/", f"/api/v1/runs/{run.pk}",
                 f"/api/v1/runs/{run.pk}/predictions", f"/runs/{run.pk}/spot-check/"):
        assert signed_in.get(path).status_code == 404, path
    listed = signed_in.get(f"/api/v1/collections/{collection.pk}/runs").json()["runs"]
    assert [one["id"] for one in listed] == [other.pk]
    assert f'href="{at}"' not in shown(signed_in, collection)
    assert list(comparison.finished(collection)) == [other]
    assert run not in adapted_runs(collection, Collection.objects.none())
    assert confirmed_labels(collection, collection.class_list_version) == {}
    assert question_of(collection).confirmed is None
    assert start_run(collection=collection, method="must", values={}).baseline != run, "a new one is queued"


def test_it_is_deleted_from_its_page_and_the_next_page_offers_to_undo_it(signed_in, collection, run):
    page = signed_in.get(reverse("runs:detail", args=[run.pk])).content.decode()
    assert "Delete this run" in page and "<strong>2 images</strong>" in page
    after = post(signed_in, run, "delete").content.decode()
    assert "is in the trash: for 30 days it can be restored" in after and "Undo" in after
    assert reverse("runs:restore", args=[run.pk]) in after
    assert "1 run can be restored" in shown(signed_in, collection) and "Undo" not in shown(signed_in, collection)
    assert "is back" in post(signed_in, run, "restore").content.decode()
    assert signed_in.get(reverse("runs:detail", args=[run.pk])).status_code == 200
    assert len(confirmed_labels(collection, collection.class_list_version)) == 2
    assert run.predictions.count() == 60
    assert [row["did"] for row in history(collection)][:2] == [
        f"restored run {run.pk} from the trash", f"moved run {run.pk} to the trash"]


@pytest.mark.parametrize("status", ["queued", "running", "paused"])
def test_one_that_is_not_over_stays(signed_in, collection, status):
    run = rows.run(collection, status=status)
    assert f"Nothing was deleted. Run {run.pk} is {status}; cancel it first." in post(
        signed_in, run, "delete").content.decode()
    assert "Delete this run" not in signed_in.get(reverse("runs:detail", args=[run.pk])).content.decode()
    run.refresh_from_db()
    assert run.trashed_at is None
    with pytest.raises(IntegrityError):  # whoever writes it
        Run.objects.filter(pk=run.pk).update(trashed_at=timezone.now())


def test_a_baseline_goes_after_what_is_compared_with_it_and_comes_back_with_it(signed_in, collection, run):
    compared = rows.run(collection, "must", baseline=run)
    words = f"is what MUST run {compared.pk} is compared with; delete that one first"
    assert f"This run stays: it {words}." in signed_in.get(reverse("runs:detail", args=[run.pk])).content.decode()
    assert words in post(signed_in, run, "delete").content.decode()
    trash_run(compared)
    trash_run(run)
    assert "compared with; delete that one for good first" in post(signed_in, run, "delete_for_good").content.decode()
    post(signed_in, compared, "restore")
    assert set(collection.runs.all()) == {run, compared}
    compared.refresh_from_db()
    assert compared.baseline == run


def test_what_a_run_that_is_not_over_begins_with_stays(collection, alice):
    tuned = rows.run(collection, "must")
    begun = rows.run(collection, "must", status="paused", start_from=tuned)
    with pytest.raises(DataError, match=f"is what run {begun.pk} begins with, which is not over"):
        trash_run(tuned)
    elsewhere = rows.run(rows.collection(alice, title="Elsewhere"), "must", status="queued", start_from=tuned)
    begun.delete()
    with pytest.raises(DataError, match="is what a run of another collection begins with"):
        trash_run(tuned)
    elsewhere.request_cancel()
    trash_run(tuned)


def test_one_that_is_over_misses_what_it_began_with(signed_in, collection, sent):
    tuned = rows.run(collection, "must")
    begun = rows.run(collection, "must", start_from=tuned)
    trash_run(tuned)
    assert f"begun with run {tuned.pk}, which is deleted" in signed_in.get(
        reverse("runs:detail", args=[begun.pk])).content.decode()
    with pytest.raises(DataError, match="is not there any more; restore it from the trash"):
        start_again(begun)
    restore_run(tuned)
    assert earlier_run(begun) == tuned


def test_what_failed_is_not_resumed_from_the_trash(signed_in, collection, sent):
    failed = rows.run(collection, status="failed", retryable=True)
    trash_run(failed)
    assert post(signed_in, failed, "resume").status_code == 404
    assert not failed.resume()


@pytest.mark.parametrize(("role", "status"), [(None, 404), ("viewer", 403), ("reviewer", 403)])
def test_only_an_owner_deletes_restores_and_deletes_for_good(collection, run, charlie, stranger, role, status):
    if role:
        Membership.objects.create(collection=collection, user=charlie, role=role)
        assert b"Delete this run" not in stranger.get(reverse("runs:detail", args=[run.pk])).content
    assert post(stranger, run, "delete").status_code == status
    trash_run(Run.objects.get(pk=run.pk))
    assert post(stranger, run, "restore").status_code == status
    assert post(stranger, run, "delete_for_good").status_code == status
    assert b"can be restored" not in stranger.get(reverse("collections:runs", args=[collection.pk])).content
    assert f"run {run.pk}" not in stranger.get(reverse("collections:trash")).content.decode()
    assert Run.everything.get().trashed_at is not None


def test_the_trash_shows_it_until_it_is_deleted_for_good(signed_in, collection, run, settings):
    folder = settings.RUNS_ROOT / str(run.pk)
    assert post(signed_in, run, "delete_for_good").status_code == 404, "only what is in the trash"
    trash_run(run)
    page = signed_in.get(reverse("collections:trash")).content.decode()
    assert f"run {run.pk} of" in page and folder.exists()
    features_folder(collection.pk).mkdir(parents=True)
    Collection.objects.update(features_bytes=5)
    assert f"Run {run.pk} is deleted for good" in post(signed_in, run, "delete_for_good").content.decode()
    assert not Run.everything.exists() and not folder.exists()
    collection.refresh_from_db()
    assert collection.features_bytes == 0 and not features_folder(collection.pk).exists(), "no run is left to use them"
    assert collection.images.count() == 60
    assert history(collection)[0]["did"] == f"deleted run {run.pk} for good"


def test_after_thirty_days_it_is_gone_with_its_files(collection, run, settings):
    other = rows.run(collection, "kmeans")
    rows.package(other)
    features_folder(collection.pk).mkdir(parents=True)
    trash_run(run)
    trash_run(other)
    Run.everything.filter(pk=run.pk).update(trashed_at=timezone.now() - TRASH_LIFETIME - timedelta(minutes=1))
    assert not restore_run(run), "too late"
    empty_trash()
    assert list(Run.everything.all()) == [other]
    assert not (settings.RUNS_ROOT / str(run.pk)).exists() and (settings.RUNS_ROOT / str(other.pk)).exists()
    assert features_folder(collection.pk).exists(), "another run is left"


def test_a_deletion_that_was_cut_off_is_finished_and_nobody_restores_half(collection, run, settings, monkeypatch):
    trash_run(run)

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("webapp.runs.deletion.shutil.rmtree", die)
        with pytest.raises(KeyboardInterrupt):
            delete_run(Run.everything.get())
    assert not restore_run(run)
    empty_trash()
    assert not Run.everything.exists() and not (settings.RUNS_ROOT / str(run.pk)).exists()


def test_a_collection_takes_its_trashed_runs_along(collection, run, settings, django_capture_on_commit_callbacks):
    trash_run(run)
    trash_collection(collection)
    restore_collection(collection)
    assert not collection.runs.exists(), "each comes back by itself"
    with django_capture_on_commit_callbacks(execute=True):
        delete_collection(collection)
    assert not Run.everything.exists() and not (settings.RUNS_ROOT / str(run.pk)).exists()
