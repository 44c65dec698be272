from __future__ import annotations

import csv
import io
import json
from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from django.test import AsyncClient, Client
from django.urls import reverse
from django.utils import timezone

from tests.webapp.runs import rows
from webapp.runs.models import SILENCE, Run
from webapp.sharing.models import Membership, Role

pytestmark = pytest.mark.django_db
PAGES = ("detail", "live", "points", "review", "package", "log", "labels_csv", "labels_jsonl")
ACTIONS = ("cancel", "again", "pause", "resume", "prioritise")


def post(client, run, name):
    return client.post(reverse(f"runs:{name}", args=[run.pk]))


def test_cancelling_a_queued_run_ends_it_at_once(signed_in, collection):
    mine = rows.run(collection, status="queued")
    assert post(signed_in, mine, "cancel").url == reverse("runs:detail", args=[mine.pk])
    mine.refresh_from_db()
    assert (mine.status, mine.cancel_requested) == ("cancelled", True)
    assert mine.finished_at is not None


def test_cancelling_a_running_run_asks_its_worker(signed_in, collection):
    mine = rows.run(collection, status="running")
    post(signed_in, mine, "cancel")
    mine.refresh_from_db()
    assert (mine.status, mine.cancel_requested) == ("running", True)


@pytest.mark.parametrize("name", ["detail", "live", "api"])
def test_a_cancelled_run_whose_worker_died_since_ends_when_somebody_looks(signed_in, collection, name):
    silent = timezone.now() - SILENCE - timedelta(seconds=1)
    theirs = rows.run(collection, status="running", heartbeat_at=silent)
    mine = rows.run(collection, status="running", heartbeat_at=silent, cancel_requested=True)
    for run in (theirs, mine):
        signed_in.get(f"/api/v1/runs/{run.pk}" if name == "api" else reverse(f"runs:{name}", args=[run.pk]))
        run.refresh_from_db()
    assert (theirs.status, mine.status, mine.lease_token) == ("running", "cancelled", "")


def test_cancelling_a_run_whose_worker_is_silent_ends_it_at_once(signed_in, collection):
    mine = rows.run(collection, status="running", heartbeat_at=timezone.now() - SILENCE - timedelta(seconds=1))
    post(signed_in, mine, "cancel")
    mine.refresh_from_db()
    assert mine.status == "cancelled" and mine.finished_at


@pytest.mark.parametrize("status", ["queued", "paused", "running"])
def test_a_web_process_that_dies_while_it_cancels_leaves_no_run_half_cancelled(collection, status):
    mine = rows.run(collection, status=status)
    updates = []

    def die_at_the_second_update(execute, sql, *rest):
        if sql.startswith("UPDATE"):
            updates.append(sql)
            if len(updates) == 2:
                raise KeyboardInterrupt
        return execute(sql, *rest)

    with pytest.raises(KeyboardInterrupt), connection.execute_wrapper(die_at_the_second_update):
        mine.request_cancel()
    mine.refresh_from_db()
    assert (mine.status, mine.cancel_requested) == (status, False)


@pytest.mark.parametrize("status", ["queued", "paused"])
@pytest.mark.parametrize("name", ["detail", "live", "api"])
def test_a_waiting_run_that_was_to_be_cancelled_ends_when_somebody_looks(signed_in, collection, status, name):
    mine = rows.run(collection, status=status, cancel_requested=True)
    signed_in.get(f"/api/v1/runs/{mine.pk}" if name == "api" else reverse(f"runs:{name}", args=[mine.pk]))
    mine.refresh_from_db()
    assert mine.status == "cancelled" and mine.finished_at


def test_what_failed_as_it_was_cancelled_goes_on_when_resumed(signed_in, collection, sent):
    failed = rows.run(collection, status="failed", retryable=True, cancel_requested=True)
    post(signed_in, failed, "resume")
    assert Run.objects.claim(failed.pk, "box:1")


def test_cancelling_what_has_ended_changes_nothing(signed_in, collection):
    mine = rows.run(collection)
    answer = signed_in.post(reverse("runs:cancel", args=[mine.pk]), follow=True)
    assert "Too late, its state is: succeeded." in answer.content.decode()
    mine.refresh_from_db()
    assert (mine.status, mine.cancel_requested) == ("succeeded", False)


def test_a_waiting_run_pauses_at_once_and_goes_on_when_resumed(
        signed_in, collection, sent, django_capture_on_commit_callbacks):
    mine = rows.run(collection, status="queued")
    post(signed_in, mine, "pause")
    mine.refresh_from_db()
    assert (mine.status, mine.pause_requested) == ("paused", False)
    page = signed_in.get(reverse("runs:detail", args=[mine.pk])).content.decode()
    assert "No worker is held" in page and "Resume" in page
    with django_capture_on_commit_callbacks(execute=True):
        post(signed_in, mine, "resume")
    mine.refresh_from_db()
    assert mine.status == "queued"
    assert sent == [("workers.tasks.execute_run", mine.pk, "gpu")]


def test_pausing_a_running_run_asks_its_worker(signed_in, collection):
    mine = rows.run(collection, status="running")
    post(signed_in, mine, "pause")
    mine.refresh_from_db()
    assert (mine.status, mine.pause_requested) == ("running", True)
    assert "Pausing at the next checkpoint" in signed_in.get(reverse("runs:detail", args=[mine.pk])).content.decode()


def test_a_paused_run_is_cancelled_without_a_worker(signed_in, collection):
    mine = rows.run(collection, status="paused")
    post(signed_in, mine, "cancel")
    mine.refresh_from_db()
    assert mine.status == "cancelled" and mine.finished_at


def test_what_has_ended_neither_pauses_nor_goes_on(signed_in, collection, sent):
    mine = rows.run(collection)
    post(signed_in, mine, "pause")
    assert "nothing to resume" in signed_in.post(reverse("runs:resume", args=[mine.pk]), follow=True).content.decode()
    mine.refresh_from_db()
    assert (mine.status, mine.pause_requested, sent) == ("succeeded", False, [])


def test_what_failed_of_something_that_may_be_mended_is_resumed(
        signed_in, collection, sent, django_capture_on_commit_callbacks):
    failed = rows.run(collection, status="failed", retryable=True, attempt=3)
    assert "Resume" in signed_in.get(reverse("runs:detail", args=[failed.pk])).content.decode()
    with django_capture_on_commit_callbacks(execute=True):
        post(signed_in, failed, "resume")
    failed.refresh_from_db()
    assert (failed.status, failed.attempt, failed.error, failed.finished_at) == ("queued", 0, "", None)
    assert sent == [("workers.tasks.execute_run", failed.pk, "gpu")]


def test_what_would_fail_the_same_way_is_not_resumed(signed_in, collection, sent):
    failed = rows.run(collection, status="failed")
    assert "Resume" not in signed_in.get(reverse("runs:detail", args=[failed.pk])).content.decode()
    post(signed_in, failed, "resume")
    failed.refresh_from_db()
    assert (failed.status, sent) == ("failed", [])


def test_trying_again_makes_a_new_run(signed_in, collection, sent):
    failed = rows.run(collection, status="failed", retryable=True)
    answer = post(signed_in, failed, "again")
    new = Run.objects.filter(method="must").latest("pk")
    assert new != failed
    assert answer.url == reverse("runs:detail", args=[new.pk])
    failed.refresh_from_db()
    assert failed.status == "failed"


def test_trying_again_says_why_it_cannot(signed_in, collection, sent):
    failed = rows.run(collection, status="failed", retryable=True)
    collection.images.all().delete()
    answer = signed_in.post(reverse("runs:again", args=[failed.pk]), follow=True)
    assert "add images first" in answer.content.decode()
    assert Run.objects.count() == 1


def test_review_shows_the_panel_of_this_run(signed_in, collection):
    mine = rows.run(collection)
    page = signed_in.get(reverse("runs:review", args=[mine.pk])).content.decode()
    assert f'src="/panel/?run={mine.pk}"' in page
    page = signed_in.get(reverse("runs:review", args=[mine.pk]), {"tab": "try"}).content.decode()
    assert f'src="/panel/?run={mine.pk}&amp;tab=try"' in page


@pytest.mark.parametrize("status", ["queued", "running", "failed", "cancelled"])
def test_there_is_nothing_to_review_or_to_take_away_before_success(signed_in, collection, status):
    mine = rows.run(collection, status=status)
    rows.package(mine)
    assert signed_in.get(reverse("runs:review", args=[mine.pk])).url == reverse("runs:detail", args=[mine.pk])
    for name in ("package", "labels_csv", "labels_jsonl"):
        assert signed_in.get(reverse(f"runs:{name}", args=[mine.pk])).status_code == 404


def test_the_package_comes_under_its_collections_name(signed_in, collection):
    mine = rows.run(collection)
    rows.package(mine, b"PK-zip-content")
    answer = signed_in.get(reverse("runs:package", args=[mine.pk]))
    assert answer.headers["Content-Disposition"] == f'attachment; filename="pets-at-home-run-{mine.pk}-model.zip"'
    assert answer.headers["Content-Type"] == "application/zip"
    assert b"".join(answer) == b"PK-zip-content"


def test_a_broken_download_of_the_package_goes_on(signed_in, collection):
    mine = rows.run(collection)
    rows.package(mine, b"0123456789")
    answer = signed_in.get(reverse("runs:package", args=[mine.pk]), headers={"Range": "bytes=4-"})
    assert (answer.status_code, b"".join(answer)) == (206, b"456789")


def test_a_package_that_is_gone_does_not_exist(signed_in, collection):
    assert signed_in.get(reverse("runs:package", args=[rows.run(collection).pk])).status_code == 404


def test_labels_come_as_csv_and_as_json_lines(signed_in, collection):
    mine = rows.run(collection)
    rows.answer(mine)
    answer = signed_in.get(reverse("runs:labels_csv", args=[mine.pk]))
    table = list(csv.DictReader(io.StringIO(b"".join(answer).decode())))
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert [row["path"] for row in table] == [image.path for image in collection.images.all()]
    assert (table[1]["label"], table[1]["source"]) == ("dog", "model")
    lines = b"".join(signed_in.get(reverse("runs:labels_jsonl", args=[mine.pk]))).decode().splitlines()
    assert [json.loads(line)["label"] for line in lines] == [row["label"] for row in table]


@pytest.mark.django_db(transaction=True)
def test_under_asgi_labels_stream_in_pieces(alice, collection):
    rows.add_images(collection, 2500)
    mine = rows.run(collection)
    rows.answer(mine)
    client = AsyncClient()

    async def fetch():
        await client.aforce_login(alice)
        answer = await client.get(reverse("runs:labels_csv", args=[mine.pk]))
        assert answer.is_async
        return [piece async for piece in answer]

    pieces = async_to_sync(fetch)()
    assert len(pieces) > 2
    assert len(b"".join(pieces).decode().splitlines()) == 2561


@pytest.mark.parametrize("name", [*PAGES, *ACTIONS])
def test_somebody_elses_run_does_not_exist(stranger, collection, sent, name):
    mine = rows.run(collection, status="succeeded" if name in PAGES else "queued")
    rows.package(mine)
    call = stranger.get if name in PAGES else stranger.post
    assert call(reverse(f"runs:{name}", args=[mine.pk])).status_code == 404
    mine.refresh_from_db()
    assert not mine.cancel_requested


@pytest.mark.parametrize("name", [*PAGES, *ACTIONS])
def test_a_missing_run_does_not_exist(signed_in, name):
    call = signed_in.get if name in PAGES else signed_in.post
    assert call(reverse(f"runs:{name}", args=[10**9])).status_code == 404


@pytest.mark.parametrize("name", [*PAGES, *ACTIONS])
def test_the_wrong_verb_is_refused(signed_in, collection, name):
    mine = rows.run(collection, status="running")
    call = signed_in.post if name in PAGES else signed_in.get
    assert call(reverse(f"runs:{name}", args=[mine.pk])).status_code == 405
    mine.refresh_from_db()
    assert not mine.cancel_requested


@pytest.mark.parametrize("name", [*PAGES, *ACTIONS])
def test_nobody_is_sent_to_sign_in(client, collection, name):
    mine = rows.run(collection)
    call = client.get if name in PAGES else client.post
    assert call(reverse(f"runs:{name}", args=[mine.pk])).url.startswith(reverse("sign_in"))


@pytest.mark.parametrize("name", ACTIONS)
def test_another_sites_form_is_refused(alice, collection, name):
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    mine = rows.run(collection, status="queued")
    assert post(client, mine, name).status_code == 403
    mine.refresh_from_db()
    assert mine.status == "queued"


def test_the_collections_list_shows_each_run_and_its_state(collection):
    from django.template.loader import render_to_string

    rows.run(collection, status="running", step=1, total=4, seconds_left=30)
    rows.run(collection, "zeroshot", result=rows.result(0.84))
    shown = render_to_string("runs/_list.html", {"runs": Run.objects.order_by("-pk"), "collection": collection})
    for words in ("MUST", "Zero-shot", "running", "25 %", "30 s left", "succeeded", "84.0"):
        assert words in shown
    assert "No runs yet" in render_to_string("runs/_list.html", {"runs": [], "collection": collection})


@pytest.mark.parametrize("used", ["warm_up", "replay", "start_from"])
def test_another_owner_s_try_again_needs_the_right_to_read_what_the_run_used(used, stranger, charlie, alice, collection,
                                                                            sent):
    other = rows.collection(alice, title="elsewhere")
    of = rows.run(other, settings=rows.run(collection).settings) if used == "start_from" else other
    method = "finetune" if used == "replay" else "must"
    run = rows.run(collection, method, status="cancelled", **{used: of})
    before = Run.objects.count()
    Membership.objects.create(collection=collection, user=charlie, role=Role.OWNER)
    said = stranger.post(reverse("runs:again", args=[run.pk]), follow=True).content.decode()
    assert "what this run used is not there any more" in said and "elsewhere" not in said
    assert Run.objects.count() == before
    Membership.objects.create(collection=other, user=charlie, role=Role.VIEWER)
    stranger.post(reverse("runs:again", args=[run.pk]))
    assert Run.objects.filter(**{used: of}).count() == 2
