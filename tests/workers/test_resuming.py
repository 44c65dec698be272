"""Runs that are paused, crash or are killed, and go on from their checkpoint to the unbroken answer, or begin anew."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from core.training.checkpoint import Checkpoints
from tests.workers.conftest import adapting, child_of, executing, expire, held, is_pending, wait_for
from tests.workers.example_runs import LONGER_MUST, LONGER_TURTLE, MUST, answers
from webapp.runs import presence
from webapp.runs.models import Run
from workers import runs
from workers.app import send
from workers.reaper import reap
from workers.rows import kept_rows


@pytest.fixture(scope="module")
def unbroken_answers() -> dict[str, list[tuple[int, float]]]:
    """Keep what each method answers where nothing breaks it: two tests ask for the same."""
    return {}


@pytest.fixture
def unbroken(unbroken_answers, make_run, execute) -> Callable[[str, Mapping[str, object]], list[tuple[int, float]]]:
    """Return a function that gives a method's unbroken answers; each method is asked with one choice of settings."""
    def ask(method: str, settings: Mapping[str, object]) -> list[tuple[int, float]]:
        if method not in unbroken_answers:
            run = execute(make_run(method, settings=settings))
            assert (run.status, run.attempt) == ("succeeded", 1), run.error
            unbroken_answers[method] = answers(run)
        return unbroken_answers[method]

    return ask


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("method", "settings"), [
    ("must", LONGER_MUST), ("turtle", LONGER_TURTLE)], ids=["must", "turtle"])
def test_a_paused_run_holds_no_worker_and_goes_on_to_the_unbroken_answer(make_run, execute, unbroken, method, settings):
    expected = unbroken(method, settings)
    run = make_run(method, settings=settings)
    with executing(run):
        wait_for(adapting(run, 0.1), 400)
        with held(child_of(run)) as child:  # so that a fast machine does not end it before it is asked
            run.request_pause()
            wait_for(lambda: is_pending(child, signal.SIGUSR1))
    run.refresh_from_db()
    assert (run.status, run.attempt, run.lease_token, run.pause_requested) == ("paused", 0, "", False), run.log
    stopped_at = run.step
    assert 0 < stopped_at < run.total
    assert run.resume()
    execute(run)
    assert (run.status, run.attempt) == ("succeeded", 1)
    assert "goes on from its last checkpoint" in run.log
    assert answers(run) == expected
    again = [step for step in run.points.order_by("pk").values_list("step", flat=True) if step < stopped_at - 1]
    assert again == sorted(set(again))  # no step before the pause was made twice


@pytest.mark.timeout(1200)
def test_a_run_that_crashed_is_resumed_from_its_checkpoint_to_the_unbroken_answer(make_run, execute, unbroken):
    expected = unbroken("turtle", LONGER_TURTLE)
    run = make_run("turtle", settings=LONGER_TURTLE)
    with executing(run):
        wait_for(lambda: (runs.run_folder(run.pk) / "checkpoint.safetensors").exists(), 400)
        os.kill(child_of(run), signal.SIGSEGV)
    run.refresh_from_db()
    assert (run.status, run.retryable) == ("failed", True)
    assert run.resume()
    execute(run)
    assert (run.status, run.error, run.attempt) == ("succeeded", "", 1)
    assert "goes on from its last checkpoint" in run.log
    assert answers(run) == expected


@pytest.mark.timeout(600)
def test_what_is_set_aside_or_held_out_meanwhile_costs_no_checkpoint(make_run, execute, collection):
    run = make_run("must", settings=MUST | {"epochs": 1.0})
    with executing(run):
        wait_for(lambda: (runs.run_folder(run.pk) / "checkpoint.safetensors").exists(), 400)
        os.kill(child_of(run), signal.SIGKILL)
    collection.images.filter(number=3).update(set_aside=True)
    collection.images.filter(number=7).update(held_out=True)
    execute(run)
    assert (run.status, run.error, run.attempt) == ("succeeded", "", 2)
    assert "goes on from its last checkpoint" in run.log and "begins anew" not in run.log
    assert (len(answers(run)), run.result["held_out"], sum(run.result["histogram"])) == (60, None, 60)


def test_a_run_begun_before_its_images_were_kept_begins_anew_where_its_checkpoint_does_not_fit(make_run, execute):
    run = make_run("kmeans", settings={"starts": 1})
    Checkpoints(runs.run_folder(run.pk)).save({"identity": "of other images"}, 1)
    execute(run)
    assert (run.status, run.error, run.attempt) == ("succeeded", "", 1)
    assert "its checkpoint is of other images, names or labels" in run.log


def test_a_run_whose_images_were_deleted_begins_anew_with_those_there_are(make_run, execute, collection):
    run = make_run("kmeans", settings={"starts": 1})
    folder = runs.run_folder(run.pk)
    Checkpoints(folder).save({"identity": "of all of them"}, 1)
    kept_rows(run, folder, pytest.fail)
    collection.images.filter(number=3).delete()
    execute(run)
    assert (run.status, run.error, len(answers(run))) == ("succeeded", "", 59)
    assert "images that it began with were deleted: its checkpoint is dropped" in run.log
    assert "goes on from its last checkpoint" not in run.log


@pytest.mark.timeout(1200)
def test_a_run_killed_past_half_goes_on_at_its_checkpoint_to_the_unbroken_answer(make_run, execute, unbroken, broker):
    expected = unbroken("must", LONGER_MUST)
    run = make_run("must", settings=LONGER_MUST)
    node = subprocess.Popen(
        [sys.executable, "-m", "celery", "--quiet", "--app", "workers.tasks", "worker", "--queues", "gpu", "--pool",
         "threads", "--concurrency", "1", "--hostname", "gpu.0.test@%h", "--without-gossip", "--without-mingle"],
        env={**os.environ, "PYTHONWARNINGS": "ignore"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert send("execute_run", run.pk, "gpu")
        wait_for(adapting(run, 0.5), 400)
        assert presence.is_present("gpu")
        child = child_of(run)
        os.kill(child, signal.SIGSTOP)  # so that a fast machine does not end it before its node is killed
    finally:
        node.kill()
        node.wait()
    wait_for(lambda: not Path(f"/proc/{child}").exists(), 5)  # it is tied to its node
    killed_at = Run.objects.get(pk=run.pk).step
    expire(run)
    reap()
    execute(run)
    assert (run.status, run.attempt) == ("succeeded", 2)
    assert "goes on from its last checkpoint" in run.log
    assert answers(run) == expected
    first_again = run.points.order_by("pk").filter(step__lte=killed_at).last()
    assert first_again is None or killed_at - first_again.step <= 0.1 * run.total + 1
