"""Who must hear of a run's end is written down with it, by whoever ends it."""

from __future__ import annotations

import pytest

from tests.workers.conftest import expire
from tests.workers.test_app import waiting
from webapp.notices.models import Notice, NoticeSettings
from webapp.runs.models import MAX_ATTEMPTS, Run
from workers.lease import Lease, LeaseLost
from workers.reaper import reap


@pytest.fixture
def run(make_run, owner) -> Run:
    NoticeSettings.objects.create(user=owner, webhook_url="https://example.org/hook", email="alice@example.org")
    return make_run("zeroshot", attempt=MAX_ATTEMPTS - 1)


@pytest.mark.parametrize("end", [lambda lease: lease.fail("no"), lambda lease: lease.succeed({}, 1)],
                         ids=["failed", "succeeded"])
def test_success_and_failure_are_told_on_every_way_that_was_asked_for(run, broker, end):
    end(Lease.claim(run.pk))
    assert sorted(Notice.objects.filter(run=run).values_list("channel", "status")) == [
        ("email", "waiting"), ("webhook", "waiting")]
    assert waiting("cpu") == 2


def test_what_a_person_cancelled_or_paused_is_not_told(run):
    Lease.claim(run.pk).pause()
    run.resume()
    Lease.claim(run.pk).cancel()
    assert not Notice.objects.exists()


def test_who_lost_the_lease_tells_nobody(run):
    lost = Lease.claim(run.pk)
    Run.objects.filter(pk=run.pk).update(lease_token="somebody else's")
    with pytest.raises(LeaseLost):
        lost.fail("no")
    assert not Notice.objects.exists()


def test_a_run_that_the_reaper_ends_is_told_too_and_sent_once_redis_is_back(run, request):
    Lease.claim(run.pk)
    expire(run)
    reap()
    assert Notice.objects.filter(run=run).count() == 2
    request.getfixturevalue("broker")
    Notice.objects.update(sent_at=None)
    reap()
    assert waiting("cpu") == 2
    reap()
    assert waiting("cpu") == 2  # not over and over
