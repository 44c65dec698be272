"""Runs whose memory is really taken away: the kernel refuses their child what it asks for."""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.workers.conftest import adapting, child_of, executing, wait_for
from tests.workers.example_runs import MUST
from webapp.runs.models import MAX_HALVINGS, Prediction, Run

ROOM_BYTES = 1 << 20
TRIES = 3


def take_memory_away(run: Run) -> None:
    """Let a run's child have hardly more address space than it uses now."""
    child = child_of(run)
    used_pages = int(Path(f"/proc/{child}/statm").read_text().split()[0])
    most = used_pages * resource.getpagesize() + ROOM_BYTES
    resource.prlimit(child, resource.RLIMIT_AS, (most, most))


def run_out_of_memory(make_run: Callable[..., Run], **fields: object) -> Run:
    """Return a run whose memory ended. Where it is C++ that is refused something, the child aborts: once more."""
    for _ in range(TRIES):
        run = make_run("must", settings=MUST, **fields)
        with executing(run):
            wait_for(adapting(run, 0.2), 400)
            take_memory_away(run)
        run.refresh_from_db()
        if "out of memory" in run.log + run.error:
            break
    return run


@pytest.mark.timeout(1200)
def test_a_run_out_of_memory_goes_on_with_half_of_it_and_means_the_same(make_run, starters, execute):
    unbroken = execute(make_run("must", settings=MUST))
    run = run_out_of_memory(make_run)
    assert (run.status, run.attempt, run.memory_halvings) == ("queued", 0, 1), (run.error, run.log)
    assert "the machine ran out of memory; it goes on with 1/2 of the images held at once" in run.log
    execute(run)
    assert (run.status, run.error, run.attempt) == ("succeeded", "", 1)
    assert "goes on from its last checkpoint" in run.log
    ours, theirs = (list(Prediction.objects.filter(run=one).order_by("image__number")) for one in (run, unbroken))
    assert [one.confidence for one in ours] == pytest.approx([one.confidence for one in theirs], abs=2e-3)
    same = sum(one.class_index == other.class_index for one, other in zip(ours, theirs, strict=True))
    assert same >= 59  # of 60: sums in another order may tip a tie


@pytest.mark.timeout(600)
def test_a_run_that_halving_does_not_help_stops_with_advice(make_run, starters):
    run = run_out_of_memory(make_run, memory_halvings=MAX_HALVINGS)
    assert (run.status, run.retryable) == ("failed", False)
    assert "even with 1/16 of the images held at once. Choose a smaller foundation model" in run.error
