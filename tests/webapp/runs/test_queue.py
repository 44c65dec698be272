"""The page of everybody's runs: their order, who may change it, and how little is shown of other people's."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from tests.webapp.runs import rows
from tests.webapp.runs.reading import text
from webapp.runs.live import place, worker_notice
from webapp.runs.models import Run
from webapp.runs.presence import beat

pytestmark = pytest.mark.django_db


@pytest.fixture
def theirs(charlie):
    return rows.collection(charlie, 5, title="Charlie's secrets", names=("password", "key"))


def shown(client) -> str:
    """Return what a person reads on the page."""
    answer = client.get(reverse("runs:queue"))
    assert answer.status_code == 200
    return text(answer.content.decode())


def waiting(of, minutes: int, **fields) -> Run:
    return rows.run(of, status="queued", queued_at=timezone.now() - timedelta(minutes=minutes), **fields)


def test_it_shows_what_runs_and_what_waits_in_order(signed_in, collection, theirs):
    beat("gpu.0.1@box", "gpu")
    rows.run(collection, status="running", step=30, total=120, seconds_left=200, stage="adapting")
    waiting(collection, 5)
    waiting(theirs, 9)
    page = shown(signed_in)
    assert "Pets at home MUST · adapting 25 % 3 min 20 s left" in page
    assert re.search(r"Waiting 1 Another person’s run 2 Pets at home MUST · 5 min", page)
    assert "make worker" not in page


def test_whatever_takes_the_focus_in_the_queue_has_an_id_of_its_own(signed_in, collection):
    """The queue is drawn anew every three seconds; htmx finds again what had the focus by its id."""
    for status in ("running", "paused"):
        rows.run(collection, status=status)
    for minutes in (1, 2):
        waiting(collection, minutes)
    html = signed_in.get(reverse("runs:queue"), headers={"HX-Request": "true"}).content.decode()
    focusable = re.findall(r"<(?:a|button) [^>]*>", html)
    ids = [found for one in focusable for found in re.findall(r' id="([^"]+)"', one)]
    assert len(focusable) == len(set(ids)) >= 10, focusable


def test_nothing_of_other_people_s_runs_is_told_but_that_they_are_there(signed_in, collection, theirs):
    run = rows.run(theirs, status="running", stage="secretly adapting")
    queued = waiting(theirs, 1)
    html = signed_in.get(reverse("runs:queue")).content.decode()
    assert html.count("Another person’s run") == 2
    for secret in ("Charlie", "secret", "MUST", f"/runs/{run.pk}/", f"/runs/{queued.pk}/", "Cancel"):
        assert secret not in html, secret


def test_who_was_invited_sees_what_it_is_but_stops_and_moves_nothing(signed_in, alice, theirs):
    theirs.memberships.create(user=alice, role="reviewer")
    mine = waiting(theirs, 1)
    html = signed_in.get(reverse("runs:queue")).content.decode()
    assert "Charlie&#x27;s secrets" in html and f"/runs/{mine.pk}/" in html
    assert "Cancel" not in html and "Later" not in html
    assert signed_in.post(reverse("runs:prioritise", args=[mine.pk]), {"priority": "-1"}).status_code == 403


def test_what_is_over_is_not_in_the_queue(signed_in, collection):
    for status in ("succeeded", "failed", "cancelled"):
        rows.run(collection, status=status)
    assert "Nothing runs and nothing waits" in shown(signed_in)
    assert "make worker" in shown(signed_in)


def test_a_run_goes_later_and_sooner_and_its_page_says_where_it_stands(signed_in, collection, theirs):
    mine, other = waiting(collection, 9), waiting(theirs, 1)
    assert place(mine).waiting_ahead == 0
    signed_in.post(reverse("runs:prioritise", args=[mine.pk]), {"priority": "-1"})
    mine.refresh_from_db()
    assert mine.priority == -1
    assert (place(mine).waiting_ahead, place(other).waiting_ahead) == (1, 0)
    assert re.search(r"1 Another person’s run 2 Pets at home .* low ", shown(signed_in))
    signed_in.post(reverse("runs:prioritise", args=[mine.pk]), {"priority": "0"})
    assert place(Run.objects.get(pk=mine.pk)).waiting_ahead == 0


def test_a_run_of_seconds_waits_for_none_but_its_kind_where_the_quick_lane_is_there(collection, theirs):
    beat("gpu.0.1@box", "gpu")
    rows.run(theirs, status="running")
    rows.run(theirs, "kmeans", status="running")
    waiting(theirs, 9)
    waiting(theirs, 8, method="zeroshot")
    mine, long = waiting(collection, 5, method="zeroshot"), waiting(collection, 1)
    assert str(place(mine)) == "Number 3 in the queue; ahead of it: 2 running and 2 waiting."
    beat("quick.0.1@box", "quick")
    assert str(place(mine)) == ("Number 2 in the queue; ahead of it: 1 running and 1 waiting. It takes seconds, so it "
                                "does not wait for the long ones.")
    assert str(place(long)) == "Number 4 in the queue; ahead of it: 2 running and 3 waiting."
    Run.objects.exclude(pk__in=[mine.pk, long.pk]).delete()
    assert str(place(mine)) == "Next in line. It takes seconds, so it does not wait for the long ones."


def test_the_quick_lane_alone_is_a_worker_for_runs_of_seconds_only(collection):
    quick, long = waiting(collection, 5, method="zeroshot"), waiting(collection, 5)
    beat("quick.0.1@box", "quick")
    assert worker_notice(quick) == ""
    assert "No worker has been heard of yet" in worker_notice(long)


def test_only_an_administrator_goes_before_everybody_else(signed_in, collection, alice):
    mine = waiting(collection, 1)
    address = reverse("runs:prioritise", args=[mine.pk])
    assert 'value="1"' not in signed_in.get(reverse("runs:queue")).content.decode()
    assert "Only an administrator" in signed_in.post(address, {"priority": "1"}, follow=True).content.decode()
    assert Run.objects.get(pk=mine.pk).priority == 0
    alice.is_staff = True
    alice.save(update_fields=["is_staff"])
    assert 'value="1"' in signed_in.get(reverse("runs:queue")).content.decode()
    signed_in.post(address, {"priority": "1"})
    assert Run.objects.get(pk=mine.pk).priority == 1


@pytest.mark.parametrize("priority", ["", "2", "high", "-9"])
def test_a_priority_that_is_none_changes_nothing(signed_in, collection, priority):
    mine = waiting(collection, 1)
    answer = signed_in.post(reverse("runs:prioritise", args=[mine.pk]), {"priority": priority}, follow=True)
    assert "Load it again" in answer.content.decode()
    assert Run.objects.get(pk=mine.pk).priority == 0


def test_a_run_that_has_begun_keeps_its_place(signed_in, collection):
    mine = rows.run(collection, status="running")
    answer = signed_in.post(reverse("runs:prioritise", args=[mine.pk]), {"priority": "-1"}, follow=True)
    assert "waits no longer" in answer.content.decode()
    assert Run.objects.get(pk=mine.pk).priority == 0


def test_cancelling_from_the_queue_comes_back_to_it(signed_in, collection):
    mine = waiting(collection, 1)
    answer = signed_in.post(reverse("runs:cancel", args=[mine.pk]), {"from": "queue"})
    assert answer.url == reverse("runs:queue")
    assert Run.objects.get(pk=mine.pk).status == "cancelled"


def test_the_page_fetches_only_its_list_again(signed_in, collection):
    waiting(collection, 1)
    part = signed_in.get(reverse("runs:queue"), headers={"HX-Request": "true"}).content.decode()
    assert "Pets at home" in part and "<html" not in part
