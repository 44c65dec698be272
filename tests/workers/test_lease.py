"""Who may write a run's row."""

from __future__ import annotations

import pytest
from django.utils import timezone

from tests.workers.conftest import expire
from webapp.runs.models import Run
from workers.lease import Lease, LeaseLost


@pytest.fixture
def run(make_run) -> Run:
    return make_run("zeroshot")


def steal(run: Run) -> Lease:
    """Let the run go back to the queue and somebody else take it."""
    Run.objects.filter(pk=run.pk).update(status=Run.Status.QUEUED, lease_token="")
    taken = Lease.claim(run.pk)
    assert taken is not None
    return taken


def test_only_one_of_two_gets_a_run(run: Run):
    assert Lease.claim(run.pk) is not None
    assert Lease.claim(run.pk) is None


def test_a_cancelled_run_is_not_to_be_had(run: Run):
    run.request_cancel()
    assert Lease.claim(run.pk) is None
    run.refresh_from_db()
    assert run.status == "cancelled"


def test_the_first_in_line_is_taken_and_priority_goes_before_age(make_run):
    low, old, new, high = (make_run("zeroshot", priority=priority) for priority in (-1, 0, 0, 1))
    assert [Lease.claim_first().run_id for _ in range(4)] == [high.pk, old.pk, new.pk, low.pk]
    assert Lease.claim_first() is None


def test_a_write_renews_the_lease_and_adds_to_the_log(run: Run):
    lease = Lease.claim(run.pk)
    expire(run)
    lease.write("first", "second", step=3)
    run.refresh_from_db()
    assert run.lease_expires_at > timezone.now()
    assert [line[20:] for line in run.log.splitlines()] == ["first", "second"]
    assert run.step == 3


@pytest.mark.parametrize("write", [
    lambda lease: lease.write(step=99), lambda lease: lease.fail("no"), lambda lease: lease.cancel(),
    lambda lease: lease.release("no", count_attempt=True), lambda lease: lease.pause(),
    lambda lease: lease.succeed({"label_free_score": 1.0}, 1),
], ids=["write", "fail", "cancel", "release", "pause", "succeed"])
def test_who_lost_the_lease_writes_nothing(run: Run, write):
    lost = Lease.claim(run.pk)
    steal(run)
    before = Run.objects.filter(pk=run.pk).values().get()
    with pytest.raises(LeaseLost):
        write(lost)
    assert Run.objects.filter(pk=run.pk).values().get() == before


def test_who_lost_the_lease_gets_no_transaction(run: Run):
    lost = Lease.claim(run.pk)
    steal(run)
    with pytest.raises(LeaseLost), lost.fence():
        pytest.fail("inside the fence")


@pytest.mark.parametrize("give_up", [
    lambda lease: lease.release("no", count_attempt=True), lambda lease: lease.halve_memory("no"),
    lambda lease: lease.pause(),
], ids=["release", "halve the memory", "pause"])
def test_a_run_that_is_to_be_cancelled_by_the_time_it_is_given_up_ends_cancelled(run: Run, give_up):
    lease = Lease.claim(run.pk)
    assert lease.asked_to_stop() == ""
    run.request_cancel()
    give_up(lease)
    run.refresh_from_db()
    assert run.status == "cancelled" and run.finished_at and not run.lease_token
    assert run.log.endswith(" cancelled\n")


def test_a_run_given_back_by_a_stopping_worker_keeps_its_attempts(run: Run):
    Lease.claim(run.pk).release("the worker was told to stop", count_attempt=False)
    run.refresh_from_db()
    assert (run.status, run.attempt, run.lease_token) == ("queued", 0, "")
