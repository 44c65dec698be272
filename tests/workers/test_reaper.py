"""What lost its worker or its message."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from tests.workers.conftest import expire
from tests.workers.test_app import waiting
from webapp.collections.models import Upload
from webapp.runs.models import MAX_ATTEMPTS, SILENCE, Run, Trial
from workers.lease import Lease
from workers.reaper import reap


def lose_worker(run: Run) -> Lease:
    lease = Lease.claim(run.pk)
    expire(run)
    return lease


def fall_silent(run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(heartbeat_at=timezone.now() - SILENCE - timedelta(seconds=1))


def test_a_run_without_its_worker_goes_back_to_the_queue_and_is_sent(make_run, broker):
    run = make_run("zeroshot")
    lose_worker(run)
    reap()
    run.refresh_from_db()
    assert (run.status, run.attempt, run.lease_token) == ("queued", 1, "")
    assert "back to the queue" in run.log
    assert waiting("gpu") == 1


def test_a_run_whose_worker_lives_is_left_alone(make_run):
    run = make_run("zeroshot")
    lease = Lease.claim(run.pk)
    reap()
    run.refresh_from_db()
    assert (run.status, run.lease_token) == ("running", lease.token)


def test_a_run_that_used_up_its_attempts_fails_in_words(make_run):
    run = make_run("zeroshot", attempt=MAX_ATTEMPTS - 1)
    lose_worker(run)
    reap()
    run.refresh_from_db()
    assert run.status == "failed" and run.finished_at and run.retryable
    assert "Tried 3 times" in run.error


def test_a_run_asked_to_pause_whose_worker_died_is_paused(make_run):
    run = make_run("zeroshot", attempt=MAX_ATTEMPTS - 1)
    Lease.claim(run.pk)
    run.request_pause()
    expire(run)
    reap()
    run.refresh_from_db()
    assert (run.status, run.pause_requested, run.attempt) == ("paused", False, MAX_ATTEMPTS - 1)


def test_a_run_cancelled_just_after_its_worker_died_ends_cancelled_though_the_lease_lasts(make_run):
    run = make_run("zeroshot")
    Lease.claim(run.pk)
    run.request_cancel()
    reap()
    run.refresh_from_db()
    assert run.status == "running"  # its worker may still be there to end it
    fall_silent(run)
    reap()
    run.refresh_from_db()
    assert run.status == "cancelled" and run.finished_at and not run.lease_token


@pytest.mark.parametrize("status", ["queued", "paused"])
def test_a_run_that_waits_though_it_was_cancelled_is_ended(make_run, status):
    run = make_run("zeroshot", status=status, cancel_requested=True)
    reap()
    run.refresh_from_db()
    assert run.status == "cancelled" and run.finished_at


@pytest.mark.parametrize("seconds", [-60, 60], ids=["slow", "fast"])
def test_a_worker_whose_clock_is_wrong_keeps_the_run_that_it_takes(make_run, monkeypatch, seconds):
    run, now = make_run("zeroshot"), timezone.now
    with monkeypatch.context() as on_the_worker:
        on_the_worker.setattr(timezone, "now", lambda: now() + timedelta(seconds=seconds))
        lease = Lease.claim(run.pk)
        lease.write("begins")
    reap()
    assert lease.is_held()
    run.request_cancel()
    assert lease.is_held()


def test_a_run_of_a_silent_worker_that_is_not_to_be_cancelled_keeps_its_lease(make_run):
    run = make_run("zeroshot")
    lease = Lease.claim(run.pk)
    fall_silent(run)
    reap()
    assert lease.is_held()


def test_a_run_whose_worker_is_gone_ends_cancelled_with_nobody_alive(make_run):
    run = make_run("zeroshot")
    lose_worker(run)
    run.request_cancel()
    run.refresh_from_db()
    assert run.status == "cancelled" and run.finished_at


def test_a_worker_that_comes_back_too_late_has_lost_its_run(make_run):
    run = make_run("zeroshot")
    late = lose_worker(run)
    reap()
    assert not late.is_held()


def test_a_row_whose_message_was_lost_is_sent_again_but_not_over_and_over(make_run, broker):
    run = make_run("zeroshot", queued_at=timezone.now() - timedelta(minutes=1))
    make_run("zeroshot")  # was queued just now: its message is on its way
    reap()
    reap()
    assert waiting("gpu") == 1
    Run.objects.filter(pk=run.pk).update(sent_at=timezone.now() - timedelta(minutes=3))
    reap()
    assert waiting("gpu") == 2


def test_rows_that_wait_while_redis_is_away_are_sent_when_it_is_back(make_run, request):
    make_run("zeroshot", queued_at=timezone.now() - timedelta(minutes=1))
    reap()
    request.getfixturevalue("broker")
    reap()
    assert waiting("gpu") == 1


def test_an_upload_that_nobody_reads_is_sent_again(collection, broker):
    for status in (Upload.Status.RECEIVED, Upload.Status.READING, Upload.Status.RECEIVING, Upload.Status.DONE):
        Upload.objects.create(pk=uuid.uuid4(), collection=collection, name="a.zip", size_bytes=1, status=status)
    Upload.objects.update(updated_at=timezone.now() - timedelta(minutes=1))
    reap()
    assert waiting("cpu") == 2


def test_an_image_that_nobody_could_answer_does_not_wait_for_ever(make_run, owner):
    trial = Trial.objects.create(run=make_run("zeroshot"), owner=owner, file="trials/1.png")
    Trial.objects.update(created_at=timezone.now() - timedelta(minutes=11))
    reap()
    trial.refresh_from_db()
    assert trial.status == "failed" and "No worker" in trial.error
