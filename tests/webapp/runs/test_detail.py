"""A run's page from the queue to its end: where the run is, what can be done with it, the points of its plot."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from tests.webapp.runs import rows
from tests.webapp.runs.reading import text
from webapp.runs.models import ProgressPoint, Run, WorkerBeat
from webapp.runs.presence import beat

pytestmark = pytest.mark.django_db
LOG = ("2026-11-20 18:01:02 attempt 1 of 3 begins on box\n2026-11-20 18:01:03 stage: reading images\n"
       "2026-11-20 18:01:09 stage: adapting\n")


def test_a_queued_run_shows_its_place(collection, page):
    now = timezone.now()
    beat("gpu.1@box", "gpu")
    rows.run(collection, status="running")
    rows.run(collection, status="queued", queued_at=now - timedelta(minutes=2))
    mine = rows.run(collection, status="queued", queued_at=now)
    shown = text(page(mine))
    assert "Number 2 in the queue; ahead of it: 1 running and 1 waiting." in shown
    assert "make worker" not in shown
    assert "Cancel the run" in shown


def test_a_queued_run_says_that_no_worker_is_there_and_how_to_start_one(collection, page):
    mine = rows.run(collection, status="queued")
    assert "No worker has been heard of yet. Start one with “make worker”" in text(page(mine))
    beat("gpu.1@box", "gpu")
    WorkerBeat.objects.update(seen_at=timezone.now() - timedelta(minutes=30))
    assert "No worker has been heard of for 30 min." in text(page(mine))


def test_a_running_run_shows_where_it_is(collection, page):
    baseline = rows.run(collection, "zeroshot", result=rows.result(histogram=(30, 20, 10)))
    mine = rows.run(collection, status="running", baseline=baseline, stage="adapting", step=30, total=120, log=LOG,
                    images_per_second=97.4, seconds_left=200, histogram=[10, 20, 30],
                    samples=[[collection.images.first().pk, 2, 0.873], [10**9, 0, 0.5]])
    html = page(mine)
    shown = text(html)
    for words in ("25 %", "3 min 20 s left, about", "97 images a second", "adapting", "owl 87 %", "Zero-shot baseline"):
        assert words in shown
    assert html.count("<figure>") == 1  # the picture that was deleted meanwhile is left out
    assert re.findall(r'<li class="(\w+)"[^>]*>([\w ]+)</li>', html)[:4] == [
        ("done", "queued"), ("done", "reading images"), ("current", "adapting"), ("ahead", "result")]
    assert f'hx-get="{reverse("runs:live", args=[mine.pk])}"' in html


def test_the_live_part_is_what_the_page_shows(collection, page):
    mine = rows.run(collection, status="running", stage="adapting", step=30, total=120, log=LOG)
    part = page(mine, "live")
    assert "<html" not in part
    assert "25 %" in text(part)
    assert 'id="log" hx-swap-oob="true"' in part
    assert "attempt 1 of 3 begins on box" in part


@pytest.mark.parametrize(("status", "kept"), [("running", ("pause", "cancel")), ("paused", ("resume", "cancel")),
                                              ("queued", ("pause", "cancel"))])
def test_each_button_of_the_live_part_has_an_id_by_which_htmx_keeps_the_focus_on_it(collection, page, status, kept):
    run = rows.run(collection, status=status)
    part = page(run, "live")
    buttons = re.findall(r"<button[^>]*>", part)
    assert len(buttons) == len(kept)
    for button, name in zip(buttons, kept, strict=True):
        assert f'id="{name}-{run.pk}"' in button


def test_the_live_part_of_a_run_that_ended_asks_for_the_whole_page(collection, signed_in):
    for status in ("succeeded", "failed", "cancelled"):
        answer = signed_in.get(reverse("runs:live", args=[rows.run(collection, status=status).pk]))
        assert answer.headers["HX-Refresh"] == "true"
        assert answer.content == b""


@pytest.mark.parametrize("status", ["succeeded", "failed", "cancelled"])
def test_a_run_that_ended_polls_no_more(collection, page, status):
    assert "hx-trigger" not in page(rows.run(collection, status=status))


def test_a_silent_worker_is_named(collection, page):
    mine = rows.run(collection, status="running", heartbeat_at=timezone.now() - timedelta(seconds=35))
    assert "The worker has not been heard of for 35 s." in text(page(mine))


def test_a_run_asked_to_stop_says_so_and_offers_no_second_button(collection, page):
    shown = text(page(rows.run(collection, status="running", cancel_requested=True)))
    assert "Stopping at the worker’s next report." in shown
    assert "Cancel the run" not in shown


def test_a_failed_run_shows_the_reason_and_offers_another_try_only_where_it_can_help(collection, page):
    hopeless = text(page(rows.run(collection, status="failed", error="epochs: too many.")))
    assert "epochs: too many." in hopeless
    assert "Try again" not in hopeless
    assert "would fail the same way" in hopeless
    assert "Try again" in text(page(rows.run(collection, status="failed", error="The disk is full.", retryable=True)))


def test_a_cancelled_run_says_when(collection, page):
    assert "was cancelled after 5 min" in text(page(rows.run(collection, status="cancelled")))
    assert "was cancelled before it began" in text(page(rows.run(collection, status="cancelled", started_at=None)))


def test_what_a_run_began_with_is_said_and_linked(collection, page):
    tuned = rows.run(collection, "maect")
    html = page(rows.run(collection, "semimae", start_from=tuned))
    assert f'begun with <a href="{reverse("runs:detail", args=[tuned.pk])}">MAE-CT run {tuned.pk}</a>' in html


def test_points_come_once_and_in_the_order_they_were_written(collection, signed_in):
    mine = rows.run(collection, status="running")
    for step in (0, 5, 10, 5):
        ProgressPoint.objects.create(run=mine, step=step, terms={"loss": step / 10})
    address = reverse("runs:points", args=[mine.pk])
    first = signed_in.get(address).json()
    assert first["points"] == [[0, {"loss": 0.0}], [5, {"loss": 0.5}], [10, {"loss": 1.0}], [5, {"loss": 0.5}]]
    assert (first["more"], first["terminal"]) == (False, False)
    ProgressPoint.objects.create(run=mine, step=15, terms={"loss": 1.5})
    following = signed_in.get(address, {"after": first["after"]}).json()
    assert following["points"] == [[15, {"loss": 1.5}]]
    Run.objects.filter(pk=mine.pk).update(status="succeeded", finished_at=timezone.now(), lease_token="")
    last = signed_in.get(address, {"after": following["after"]}).json()
    assert (last["points"], last["terminal"], last["after"]) == ([], True, following["after"])


@pytest.mark.parametrize("after", ["-1", "x", "²", "9" * 30])
def test_a_malformed_cursor_is_refused(collection, signed_in, after):
    assert signed_in.get(reverse("runs:points", args=[rows.run(collection).pk]), {"after": after}).status_code == 400


def test_long_plots_come_in_pages(collection, signed_in, monkeypatch):
    monkeypatch.setattr("webapp.runs.views.POINTS_A_PAGE", 2)
    mine = rows.run(collection)
    ProgressPoint.objects.bulk_create([ProgressPoint(run=mine, step=step, terms={}) for step in range(3)])
    first = signed_in.get(reverse("runs:points", args=[mine.pk])).json()
    assert (len(first["points"]), first["more"]) == (2, True)
    second = signed_in.get(reverse("runs:points", args=[mine.pk]), {"after": first["after"]}).json()
    assert (len(second["points"]), second["more"]) == (1, False)


def test_a_method_that_is_no_more_still_has_its_page(collection, page):
    old = rows.run(collection)
    Run.objects.filter(pk=old.pk).update(method="forgotten")
    old.refresh_from_db()
    assert "forgotten" in page(old)
