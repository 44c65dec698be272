"""Attempts whose run is another's: they write nothing, kill nobody, and are stopped or waited for."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from django.utils import timezone

from core.classifier import Predictions
from core.data.images import ImageSet
from tests.workers.conftest import adapting, child_of, executing, expire, wait_for
from tests.workers.example_runs import LONG
from webapp.runs.models import MAX_ATTEMPTS, Run
from workers import answers, runs
from workers.lease import Lease, LeaseLost
from workers.problems import Photographs
from workers.reaper import reap
from workers.spawn import Child
from workers.surroundings import take_folder

HOLD = """
import fcntl, os, sys, time
lock = open(sys.argv[1], "w")
fcntl.flock(lock, fcntl.LOCK_EX)
print(os.getpid(), "theirs", end="", file=lock, flush=True)
print("held", flush=True)
time.sleep(60)
"""


def test_a_zombie_s_pictures_never_take_the_place_of_the_run_s(make_run, starters, tmp_path):
    run = make_run("kmeans", status="running", lease_token="somebody else's", lease_expires_at=timezone.now())
    theirs, kept = (runs.run_folder(run.pk) / name for name in ("pictures-mine", "pictures"))
    for folder in (theirs, kept):
        folder.mkdir(parents=True)
        (folder / "typical.png").write_text(folder.name)
    nothing = Photographs(distinct=ImageSet((), ()), adapted=0, ids=(), place={})
    with pytest.raises(LeaseLost):
        answers.write(Lease(run.pk, "mine"), {}, Predictions(torch.zeros(0, 2)), np.zeros((0, 2)), nothing,
                         runs.run_folder(run.pk) / "package-mine.zip", theirs)
    assert (kept / "typical.png").read_text() == "pictures"


def test_a_zombie_is_stopped_and_writes_nothing(make_run, starters):
    run = make_run("turtle", settings=LONG)
    with executing(run):
        wait_for(adapting(run), 240)
        child = child_of(run)
        Run.objects.filter(pk=run.pk).update(lease_token="somebody else's", step=1, stage="theirs")
    run.refresh_from_db()
    assert (run.status, run.lease_token, run.step, run.stage) == ("running", "somebody else's", 1, "theirs")
    assert not Path(f"/proc/{child}").exists()


@pytest.mark.timeout(400)
def test_a_frozen_child_of_an_earlier_attempt_is_killed_and_its_run_goes_on(make_run, execute):
    run = make_run("kmeans", settings={"starts": 1})
    earlier, lock = Lease.claim(run.pk), runs.run_folder(run.pk) / "lock"
    with Child(earlier, runs.run_folder(run.pk) / "output.log") as frozen:
        wait_for(lambda: lock.exists() and lock.read_text() == f"{frozen.process.pid} {earlier.token}", 120)
        os.kill(frozen.process.pid, signal.SIGSTOP)
        expire(run)
        reap()
        execute(run)
        assert (run.status, run.attempt, run.error) == ("succeeded", 2, ""), run.log
        assert frozen.process.wait(1) == -signal.SIGKILL
    assert "an earlier attempt's process still held the run's folder, and was killed" in run.log


@pytest.mark.timeout(400)
def test_a_run_whose_folder_another_machine_holds_waits_without_losing_an_attempt(make_run, execute):
    run = make_run("kmeans", settings={"starts": 1}, attempt=MAX_ATTEMPTS - 1)
    runs.run_folder(run.pk).mkdir(parents=True)
    with (runs.run_folder(run.pk) / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(f"{os.getpid()} {'0' * 32}")  # the same number as that process has over there
        lock.flush()
        execute(run)
        assert (run.status, run.attempt) == ("queued", MAX_ATTEMPTS - 1), run.log
        assert "back to the queue: an earlier attempt's process still holds this folder" in run.log


def test_who_lost_the_lease_kills_nobody_who_holds_the_folder(make_run, tmp_path):
    run = make_run("kmeans")
    lost = Lease.claim(run.pk)
    arguments = [sys.executable, "-c", HOLD, str(tmp_path / "lock"), "workers.child", "theirs"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as theirs:
        try:
            assert theirs.stdout.readline() == b"held\n"
            Run.objects.filter(pk=run.pk).update(lease_token="theirs")
            with pytest.raises(LeaseLost), take_folder(tmp_path, lost):
                pytest.fail("it is held twice")
            assert theirs.poll() is None
        finally:
            theirs.kill()
