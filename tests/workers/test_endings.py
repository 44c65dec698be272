"""Real child processes that are cancelled, hang, crash or are given back, and what their runs' rows say."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.workers.conftest import adapting, child_of, executing, wait_for
from tests.workers.example_runs import LONG
from workers import runs
from workers.priority import NICENESS


def test_a_running_run_stops_when_asked_and_ends_cancelled(make_run, starters):
    run = make_run("turtle", settings=LONG)
    with executing(run):
        wait_for(adapting(run), 240)
        assert os.getpriority(os.PRIO_PROCESS, child_of(run)) == NICENESS
        run.request_cancel()
    run.refresh_from_db()
    assert run.status == "cancelled" and run.finished_at
    assert run.log.count("stage:")


def test_a_child_that_does_not_hear_is_killed(make_run, starters, monkeypatch):
    monkeypatch.setattr(runs, "CANCEL_PATIENCE_SECONDS", 1.0)
    run = make_run("turtle", settings=LONG)
    with executing(run):
        wait_for(adapting(run), 240)
        child = child_of(run)
        os.kill(child, signal.SIGSTOP)
        run.request_cancel()
    run.refresh_from_db()
    assert run.status == "cancelled"
    assert not Path(f"/proc/{child}").exists()


def test_a_child_that_hangs_is_killed_and_its_run_tried_again(make_run, starters, monkeypatch):
    run = make_run("turtle", settings=LONG)
    with executing(run):
        wait_for(adapting(run), 240)
        child = child_of(run)
        os.kill(child, signal.SIGSTOP)
        monkeypatch.setattr(runs, "HUNG_SECONDS", 3.0)
    run.refresh_from_db()
    assert (run.status, run.attempt, run.lease_token) == ("queued", 1, ""), run.log
    assert "back to the queue: its process neither said nor computed anything any more" in run.log
    assert not Path(f"/proc/{child}").exists()


def test_a_child_that_computes_in_silence_is_let_be(make_run, execute, monkeypatch):
    """Until it has read torch and the weights it says nothing for several seconds.

    It gives way to all else: on a busy machine three seconds bring it less than what counts in five minutes.
    """
    monkeypatch.setattr(runs, "HUNG_SECONDS", 3.0)
    monkeypatch.setattr(runs, "NEXT_TO_NOTHING_SECONDS", 0.0)
    run = execute(make_run("kmeans", settings={"starts": 1}))
    assert (run.status, run.attempt) == ("succeeded", 1), run.log


def test_a_crash_is_said_on_the_row(make_run, starters):
    run = make_run("turtle", settings=LONG)
    with executing(run):
        wait_for(adapting(run), 240)
        os.kill(child_of(run), signal.SIGSEGV)
    run.refresh_from_db()
    assert run.status == "failed" and "SIGSEGV" in run.error and run.retryable


def test_a_worker_that_is_told_to_stop_gives_its_run_back(make_run, starters):
    run = make_run("turtle", settings=LONG)
    with executing(run) as stopping:
        wait_for(adapting(run), 240)
        stopping.set()
    run.refresh_from_db()
    assert (run.status, run.attempt, run.lease_token) == ("queued", 0, "")
