"""The pure parts of `make bench-faults`: what is killed and when, what is made again, what must hold."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks import kills, processes, reliability, rows, schedule
from benchmarks.client import Api, Refused
from benchmarks.ledger import Ledger
from benchmarks.patience import Patient
from benchmarks.trials import Trials


def row(kind: str, trial: int = 0, count: int = 1, wrong: tuple[str, ...] = (), **figures: float) -> rows.TrialRow:
    return rows.TrialRow(kind=kind, trial=trial, count=count, wrong=list(wrong), version="x", figures=figures)


def bounds(*found: rows.TrialRow) -> dict[str, bool]:
    return {one.claim: one.holds for one in reliability.fault_bounds(found)}


def test_a_storm_is_drawn_from_its_seed_in_order_of_time() -> None:
    first, again, other = (schedule.storm(seed, 10, 60.0, kills.ROLES) for seed in (3, 3, 4))
    assert first == again != other
    assert first == sorted(first, key=lambda kill: kill.at_seconds) and first[-1].at_seconds <= 60


def test_over_all_rounds_every_role_gets_its_share() -> None:
    rounds = range(2 * len(kills.ROLES))
    drawn = Counter(kill.role for seed in rounds for kill in schedule.storm(seed, 10, 60.0, kills.ROLES))
    assert drawn == {role: 20 * kills.ROLES.count(role) for role in kills.ROLES}


def test_a_line_is_cut_at_different_places_in_order() -> None:
    places = schedule.cuts(0, 20, 10_000_000)
    assert places == sorted(set(places)) == schedule.cuts(0, 20, 10_000_000) and len(places) == 20


def test_a_trial_that_is_in_the_file_is_not_made_again(tmp_path: Path) -> None:
    trials = Trials(tmp_path / "faults.jsonl", "abc")
    assert list(trials.missing("kills", 3)) == [0, 1, 2]
    trials.add("kills", 1, 10, ["an image was lost"], {"seconds": 1.23456})
    trials.add("zombie", 0, 1, [], {})
    assert list(trials.missing("kills", 3)) == [0, 2]
    found, _ = rows.read_trials(trials.file)
    assert (found.count, found.wrong, found.version) == (10, ["an image was lost"], "abc")
    assert found.figures["seconds"] == 1.235


def test_nothing_made_is_short_and_not_ok() -> None:
    assert not any(held for claim, held in bounds().items())


@pytest.mark.parametrize(("claim", "bad"), [
    ("seconds until a dead worker is noticed", row("kills, SQLite", noticed_seconds=61.0)),
    ("seconds until a cancelled run has ended", row("kills, SQLite", cancel_seconds=31.0)),
    ("seconds of work that a death repeats", row("kills, SQLite", repeated_seconds=301.0)),
    ("zombies that wrote, of those tried", row("zombie: worker frozen", wrong=("it wrote",))),
    ("redeliveries, visibility timeout of 10 s, with a second effect", row("visibility timeout", wrong=("twice",))),
    ("megabytes by which the web grew", row("100,000 images in one zip", web_grown_megabytes=201.0)),
    ("trials in which anything went wrong", row("anything", wrong=("at all",))),
])
def test_a_bound_is_short_where_one_trial_of_many_breaks_it(claim: str, bad: rows.TrialRow) -> None:
    good = [row(kind, trial=1, count=200, noticed_seconds=1.0, cancel_seconds=1.0, repeated_seconds=1.0,
                web_grown_megabytes=1.0)
            for kind in ("kills, SQLite", "zombie: worker frozen", "visibility timeout", "100,000 images in one zip")]
    assert bounds(*good)[claim]
    assert not bounds(*good, bad)[claim]


def test_kills_that_went_wrong_still_count_as_made() -> None:
    found = bounds(row("kills, SQLite", count=120), row("kills, Postgres", count=80, wrong=("stuck",)))
    assert found["kill -9s of web, workers, children, Redis and database connections"]
    assert not found["kill rounds with an image lost or double, a run stuck, ended twice or answered otherwise"]


def test_a_full_disk_that_was_not_outlived_does_not_count() -> None:
    four = [row("disk full", trial) for trial in range(4)]
    assert bounds(*four)["full disks, said in words and outlived"]
    assert not bounds(*four[:3], row("disk full", 3, wrong=("lost",)))["full disks, said in words and outlived"]


def test_only_processes_of_its_own_home_are_found_and_frozen(tmp_path: Path) -> None:
    program = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()', 'child'])"
    command = [sys.executable, "-c", program, "manage.py", "worker"]
    homes = [tmp_path / "one", tmp_path / "one-more"]
    started = [subprocess.Popen(command, stdin=subprocess.PIPE, env={**os.environ, "LABELFREE_HOME": str(home)})
               for home in homes]
    try:
        deadline = time.monotonic() + 60
        while len(processes.living(homes[0])) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert processes.find(homes[0], "worker") == [started[0].pid]
        below = processes.below(homes[0], started[0].pid)
        assert below == {one.pid for one in processes.living(homes[0])} and len(below) == 2
        with processes.frozen(started[0].pid):
            assert processes.is_stopped(started[0].pid) and not processes.is_stopped(started[1].pid)
        assert not processes.is_stopped(started[0].pid)
        assert set(processes.end(homes[0])) == below and started[1].poll() is None
    finally:
        for home in homes:
            processes.end(home)
        for one in started:
            one.communicate()


def test_the_ledger_tells_when_somebody_holds_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.ledger.WRITE_SECONDS", 0.1)
    ledger = Ledger(str(tmp_path / "db.sqlite3"))
    assert ledger.may_be_written()
    with closing(sqlite3.connect(ledger.address, isolation_level=None)) as writer:
        writer.execute("begin immediate")
        assert not ledger.may_be_written()
        writer.execute("rollback")
    assert ledger.may_be_written()


def test_patience_tries_again_and_looks_before_it_asks_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.patience.PAUSE_SECONDS", 0.0)
    made: list[str] = []

    class Losing(Api):
        def post(self, path: str, payload: object) -> str:
            made.append(path)
            raise ConnectionResetError

    patient = Patient(Losing("http://127.0.0.1:1", "token", 0.0), limit_seconds=5)
    assert patient.post("/runs", {}, lambda: made[0] if made else None) == "/runs"
    assert made == ["/runs"] and patient.answers == {0: 1}


def test_patience_ends_where_no_waiting_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.patience.PAUSE_SECONDS", 0.0)
    patient = Patient(Api("http://127.0.0.1:1", "token", 0.0), limit_seconds=0.1)

    def refuse(status: int) -> None:
        raise Refused("no", status, "in words")

    with pytest.raises(Refused):
        patient.again(lambda: refuse(404))
    assert not patient.answers
    with pytest.raises(Refused):
        patient.again(lambda: refuse(503))
    assert patient.answers[503] and patient.words[503] == "in words"
