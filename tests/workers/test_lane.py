"""The quick lane: what it is offered, who tells it, and that a run of seconds passes by a long one."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from core.catalog import METHODS
from tests.workers.conftest import DIGITS, adapting, child_of, held, running, wait_for
from tests.workers.test_app import waiting
from webapp.collections.models import Image
from webapp.runs import lane, presence
from webapp.runs.models import Run
from workers.app import send
from workers.lease import Lease
from workers.nodes import programs
from workers.reaper import reap

LONG = {"steps": 100_000, "sample_size": 60}


def left_waiting(make_run, method: str, **fields: object) -> Run:
    """Queue a run that no GPU's node has taken for a minute."""
    return make_run(method, queued_at=timezone.now() - timedelta(minutes=1), **fields)


def test_it_is_offered_what_takes_seconds_and_was_left_waiting(make_run):
    left = [left_waiting(make_run, method) for method in METHODS]
    make_run("zeroshot")  # a GPU's node may be about to take it
    left_waiting(make_run, "kmeans", status="paused")
    assert [run.method for run in lane.offered()] == ["zeroshot", "kmeans"]
    assert list(lane.offered()) == left[:2]


def test_a_large_model_on_very_many_images_waits_for_its_gpu(make_run, collection):
    small = left_waiting(make_run, "zeroshot")
    large = left_waiting(make_run, "zeroshot", settings={"backbone": "clip-vit-l14"})
    assert list(lane.offered()) == [small, large]
    Image.objects.bulk_create([
        Image(collection=collection, number=number, path=f"{number}.png", sha256=f"{number:064x}", file="",
              thumbnail="", width_px=8, height_px=8) for number in range(60, 3000)])
    assert list(lane.offered()) == [small]


def test_the_lane_takes_what_it_is_offered_by_priority_and_nothing_else(make_run):
    left_waiting(make_run, "must", priority=1)
    make_run("zeroshot", priority=1)
    old, new, high = (left_waiting(make_run, "kmeans", priority=priority) for priority in (0, 0, 1))
    assert [Lease.claim_first(of_lane=True).run_id for _ in range(3)] == [high.pk, old.pk, new.pk]
    assert Lease.claim_first(of_lane=True) is None


def test_the_lane_is_told_once_of_what_it_is_offered_and_only_where_it_is_there(make_run, broker):
    run = left_waiting(make_run, "zeroshot")
    left_waiting(make_run, "must")
    reap()
    assert (waiting("gpu"), waiting("quick")) == (2, 0)
    presence.beat("quick.0.1@box", "quick")
    Run.objects.update(sent_at=None)
    reap()
    reap()
    assert (waiting("gpu"), waiting("quick")) == (4, 1)
    Run.objects.filter(pk=run.pk).update(sent_at=timezone.now() - timedelta(minutes=3))
    reap()
    assert (waiting("gpu"), waiting("quick")) == (5, 2)


@pytest.mark.timeout(600)
def test_a_run_of_seconds_ends_in_the_lane_while_a_long_one_holds_the_only_node(make_run, starters, broker):
    long = make_run("turtle", settings=LONG)
    reaper, node, lane_s = programs(["gpu", "quick"], 1)
    with running(reaper), running(node), running(lane_s):
        assert send("execute_run", long.pk, "gpu")
        wait_for(adapting(long), 240)
        wait_for(lambda: presence.is_present("quick"), 60)
        with held(child_of(long)):  # a busy machine need not compute for it meanwhile
            quick = make_run("zeroshot", settings={"templates": "one"})
            assert send("execute_run", quick.pk, "gpu")
            wait_for(lambda: Run.objects.get(pk=quick.pk).started_at, 60)
            environment = Path(f"/proc/{child_of(quick)}/environ").read_bytes().split(b"\0")
            wait_for(lambda: Run.objects.get(pk=quick.pk).is_terminal, 240)
            long.refresh_from_db()
            assert long.status == "running"
        long.request_cancel()
        wait_for(lambda: Run.objects.get(pk=long.pk).is_terminal, 60)
    quick.refresh_from_db()
    assert (quick.status, quick.error) == ("succeeded", "")
    assert b"CUDA_VISIBLE_DEVICES=" in environment
    assert quick.started_at - quick.queued_at >= lane.OFFERED_AFTER
    assert "in the quick lane, on the CPU" in quick.log
    assert len(quick.result["histogram"]) == len(DIGITS)
