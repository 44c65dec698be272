"""Kills: while images are sent and runs adapt, one process after another is ended by ``kill -9``.

A round sends digits in one archive and one by one, starts small runs, cancels one more, and is hit by a storm of kills
drawn from its number. What is there in the end is compared with a round of the same that nothing hit.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import psycopg

from benchmarks import processes, schedule, verdict
from benchmarks.client import Refused
from benchmarks.digits import (
    GIVEN_UP,
    NAMES,
    SMALL,
    Answers,
    Digits,
    answers,
    make_class_list,
    make_collection,
    resume,
    start,
    wait_until_read,
)
from benchmarks.house import House, lived_in
from benchmarks.patience import Patient, Sending
from benchmarks.postbox import Postbox
from benchmarks.postgres import Postgres, database
from benchmarks.trials import Trials
from benchmarks.watch import Watch

KILLS, KILLS_A_ROUND = 200, 10
STORM_SECONDS = 75.0
FIND_SECONDS = 20.0
"""How long a kill waits for a process to be there: a child is, only while a run is."""
LIMIT_SECONDS = 3600.0
"""After which what is still not over is called stuck."""
ROLES = ("web", "worker", "node of the runs", "node of the quick lane", "node of the files", "node of single images",
         "reader", "reaper", "child", "child", "redis")
CONNECTIONS = "connections"
CANCEL_SECONDS = 10.0
"""The endless run is cancelled so long after it began, at most."""
ENDLESS = {"num_classes": len(NAMES), "settings": {
    "steps": 100_000, "sample_size": 30, "search": False, "starts": 1}}
"""A TURTLE run that nobody waits for: it is there to be cancelled."""
OPEN = ("queued", "running", "paused")


def kills(trials: Trials) -> None:
    """Make the rounds that are missing, half of them on SQLite and half on Postgres where one can be started."""
    rounds = KILLS // KILLS_A_ROUND
    databases = ("SQLite", "Postgres") if Postgres.binaries() else ("SQLite",)
    for name in databases:
        kind = f"kills, {name}"
        missing = list(trials.missing(kind, rounds // len(databases)))
        if missing:
            with database(name) as address, Postbox.open() as postbox, lived_in(
                    f"kills-{name.lower()}", {"DATABASE_URL": address}, postbox.address) as house:
                _make(trials, kind, missing, house, postbox)


def _make(trials: Trials, kind: str, missing: Sequence[int], house: House, postbox: Postbox) -> None:
    digits = Digits.write(house.home / "digits")
    class_list = make_class_list(Patient(house.api, LIMIT_SECONDS))
    unbroken = Round(house=house, digits=digits, class_list=class_list, name=f"{kind}, unbroken", postbox=postbox)
    unbroken.work()
    expected = unbroken.answers()
    wrong = unbroken.judge(expected)
    if wrong:
        raise Refused(f"even an unbroken round is not right: {wrong}")
    for trial in missing:
        began = time.monotonic()
        with Watch(house) as watch:
            storm = Storm(house, watch, trial)
            one = Round(house=house, digits=digits, class_list=class_list, name=f"{kind}, round {trial}",
                        postbox=postbox, storm=storm)
            storm.start()
            try:
                one.work()
                storm.join()
                wrong = one.judge(expected)
            except Refused as refused:
                storm.join()
                wrong = [str(refused)]
        figures = {**watch.figures(), **one.figures, "seconds": time.monotonic() - began,
                   **{f"kills_of_{role.replace(' ', '_')}": count for role, count in storm.done.items()}}
        trials.add(kind, trial, storm.done.total(), wrong, figures)


class Storm(threading.Thread):
    """The kills of a round.

    Attributes:
        done: how many, by what was killed.
    """

    def __init__(self, house: House, watch: Watch, seed: int) -> None:
        super().__init__(daemon=True)
        self.house, self.watch, self.seed, self.done = house, watch, seed, Counter[str]()
        self._random = random.Random(f"which {seed}")
        roles = (*ROLES, CONNECTIONS) if house.ledger.is_postgres else ROLES
        self._plan = schedule.storm(seed, KILLS_A_ROUND, STORM_SECONDS, roles)

    def run(self) -> None:
        """Kill in time."""
        began = time.monotonic()
        for kill in self._plan:
            time.sleep(max(0.0, began + kill.at_seconds - time.monotonic()))
            deadline = time.monotonic() + FIND_SECONDS
            while not self.kill(kill.role) and time.monotonic() < deadline:
                time.sleep(0.1)

    def kill(self, role: str) -> bool:
        """Kill something that does `role`, if anything does now."""
        if role == CONNECTIONS:
            killed = terminate_connections(self.house.ledger.address) > 0
        else:
            there = readers(self.house) if role == "reader" else self.house.find(role)
            if not there:
                return False
            pid = self._random.choice(there)
            self.watch.dies(pid)
            killed = processes.kill(pid)
        self.done[role] += killed
        return killed


def readers(house: House) -> list[int]:
    """Return the processes in which a node of the files reads uploads."""
    nodes = {one.pid: one for one in processes.living(house.home) if processes.ROLES["node of the files"](one)}
    return [pid for pid, one in nodes.items() if one.parent in nodes]


def terminate_connections(address: str) -> int:
    """End every connection to a database; return how many there were."""
    with psycopg.connect(address, autocommit=True) as connection:
        ended = connection.execute("select pg_terminate_backend(pid) from pg_stat_activity "
                                   "where datname = current_database() and pid <> pg_backend_pid()").fetchall()
    return len(ended)


@dataclass(kw_only=True)
class Round:
    """Images sent and runs made, from beginning to end.

    Attributes:
        name: of its collections.
        storm: what hits it; without one it also has no run that is cancelled.
        runs: by method.
        figures: what was measured on the way.
    """

    house: House
    digits: Digits
    class_list: int
    name: str
    postbox: Postbox
    storm: Storm | None = None
    runs: dict[str, int] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin with patience."""
        self.patient = Patient(self.house.api, LIMIT_SECONDS)
        self.endless: int | None = None
        self.resumed = 0

    def work(self) -> None:
        """Send, ask, adapt, and wait for every end.

        Raises:
            Refused: something is stuck.
        """
        self.packed = make_collection(self.patient, f"{self.name}, packed")
        self.loose = make_collection(self.patient, f"{self.name}, one by one")
        beside = threading.Thread(target=self._send_one_by_one, daemon=True)
        beside.start()
        Sending(patient=self.patient, file=self.digits.archive, collection=self.packed, chunk_bytes=512,
                pause_seconds=0.2 if self.storm else 0.0).run()
        wait_until_read(self.house, self.patient, self.packed)
        self.patient.change(f"/api/v1/collections/{self.packed}", {"class_list": self.class_list})
        if self.storm:
            self.endless = start(self.patient, self.packed, "turtle", ENDLESS)
            self._cancel(self.storm)
        for method, asked in SMALL.items():
            self.runs[method] = start(self.patient, self.packed, method, asked)
        self._wait_for_every_end()
        beside.join(LIMIT_SECONDS)
        wait_until_read(self.house, self.patient, self.loose)
        self.figures |= {"answers_lost": float(self.patient.answers[0]), "resumed": float(self.resumed)}

    def judge(self, expected: Mapping[str, Answers]) -> list[str]:
        """Return what is not as it should be, a sentence each."""
        sent = self.digits.contents
        return [*verdict.images(self.house, self.packed, sent), *verdict.images(self.house, self.loose, sent),
                *self._judge_runs(expected)]

    def answers(self) -> dict[str, Answers]:
        """Return the answers of every run of the packed collection that succeeded, by method."""
        return {method: answers(self.patient, run) for run, method, _ in self._rows() if run != self.endless}

    def _send_one_by_one(self) -> None:
        for file in self.digits.files:
            Sending(patient=self.patient, file=file, collection=self.loose,
                    pause_seconds=1.0 if self.storm else 0.0).run()

    def _cancel(self, storm: Storm) -> None:
        """Cancel the endless run while it runs, in every other round just after its worker has died; measure."""
        self._wait(f"run {self.endless} begins", lambda: self._status(self.endless) != "queued")
        time.sleep(schedule.moment(storm.seed, "cancel", 0, CANCEL_SECONDS))
        if storm.seed % 2:
            storm.kill("node of the runs")
        if self.endless is not None and self._status(self.endless) == "failed":
            resume(self.house, self.patient, self.endless)  # the storm has used up its attempts already
        self.patient.again(lambda: self.house.api.post(f"/api/v1/runs/{self.endless}/cancel", {}))
        asked_at = time.monotonic()
        self._wait(f"run {self.endless}, cancelled, ends",
                   lambda: self.patient.get(f"/api/v1/runs/{self.endless}")["status"] not in OPEN)
        self.figures["cancel_seconds"] = time.monotonic() - asked_at

    def _status(self, run: int | None) -> str:
        return str(self.house.ledger.one("select status from runs_run where id = ?", run))

    def _wait(self, what: str, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + LIMIT_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise Refused(f"not within {LIMIT_SECONDS:.0f} s: {what}")
            time.sleep(0.25)

    def _wait_for_every_end(self) -> None:
        """Wait; who used up all attempts is let go on, as a person would."""
        def over() -> bool:
            for run, _, status in self._rows():
                error = self.house.ledger.one("select error from runs_run where id = ?", run)
                if status == "failed" and error.startswith(GIVEN_UP):
                    resume(self.house, self.patient, run)
                    self.resumed += 1
            return all(status not in OPEN for _, _, status in self._rows())

        self._wait(f"the runs of collection {self.packed} end", over)

    def _rows(self) -> list[tuple[int, str, str]]:
        return [(run, method, status) for run, method, status in self.house.ledger.ask(
            "select id, method, status from runs_run where collection_id = ? order by id", self.packed)]

    def _judge_runs(self, expected: Mapping[str, Answers]) -> Iterator[str]:
        """Yield what is wrong with the runs: those that were asked for, each with one right end."""
        rows = self._rows()
        wanted = Counter({"zeroshot": 1, "must": 1, "kmeans": 1, "turtle": 1 if self.endless is None else 2})
        if Counter(method for _, method, _ in rows) != wanted:
            yield f"not the runs that were asked for: {rows}"
        for run, _, status in rows:
            if run != self.endless:
                yield from verdict.run(self.house, self.patient, run, expected, self.postbox)
            elif status != "cancelled":
                yield f"run {run} was cancelled and is {status}"
