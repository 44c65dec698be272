"""Redelivery and zombies: messages that come again, and workers that were thought dead and are not.

Two workers share a house. A run's processes are frozen by SIGSTOP and continued, which makes a small run last as long
as is wanted, and a worker silent for as long.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks import processes, verdict
from benchmarks.client import Refused
from benchmarks.digits import (
    SMALL,
    Answers,
    Digits,
    answers,
    make_class_list,
    make_collection,
    start,
    wait_until_read,
)
from benchmarks.house import House, lived_in
from benchmarks.patience import Patient, Sending
from benchmarks.postbox import Postbox
from benchmarks.trials import Trials

LIMIT_SECONDS = 1500.0
VISIBILITY_SECONDS = 10
HELD_SECONDS = 110.0
"""How long a run is held in the middle, so that with its own work it lasts about 120 s."""
FREEZES = 50
AWAKE_SECONDS = 20.0
"""How long a continued zombie has to try and write."""
RECEIVED = re.compile(r"execute_run\[([0-9a-f-]+)\] received")


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Two workers and a collection of digits.

    Attributes:
        expected: what the unbroken run answers, by method.
    """

    house: House
    patient: Patient
    postbox: Postbox
    collection: int
    expected: Mapping[str, Answers]

    def start(self) -> int:
        """Start a TURTLE run."""
        return start(self.patient, self.collection, "turtle", SMALL["turtle"])

    def row(self, run: int) -> tuple[str, str, str, int]:
        """Return a run's status, lease token, lease owner and step."""
        found: tuple[str, str, str, int] = self.house.ledger.ask(
            "select status, lease_token, lease_owner, step from runs_run where id = ?", run)[0]
        return found

    def wait(self, what: str, condition: Callable[[], object], limit_seconds: float = LIMIT_SECONDS) -> float:
        """Wait until a condition holds; return the seconds that it took.

        Raises:
            Refused: it does not.
        """
        began = time.monotonic()
        while not condition():
            if time.monotonic() - began > limit_seconds:
                raise Refused(f"not within {limit_seconds:.0f} s: {what}")
            time.sleep(0.2)
        return time.monotonic() - began

    def wait_until_adapting(self, run: int) -> tuple[int, int, str]:
        """Wait until a run has made a step; return the ids of its node and of its child, and its token."""
        self.wait(f"run {run} makes a step", lambda: self.row(run)[3] > 0 or self.row(run)[0] == "succeeded")
        status, token, owner, _ = self.row(run)
        if status != "running":
            raise Refused(f"run {run} was over ({status}) before it could be frozen")
        node = int(owner.rpartition(":")[2])
        children = [one.pid for one in processes.living(self.house.home)
                    if processes.ROLES["child"](one) and token in one.command]
        if not children:
            raise Refused(f"run {run} has no child though it made a step")
        return node, children[0], token

    def lose(self, run: int, token: str) -> float:
        """Wait until a run's lease is lost; return the seconds that it took.

        Raises:
            Refused: the run ended instead.
        """
        seconds = self.wait(f"run {run} loses its lease", lambda: self.row(run)[1] != token)
        if self.row(run)[0] not in ("queued", "running"):
            raise Refused(f"run {run} ended before its lease was lost: nothing was tried")
        return seconds

    def take(self, run: int) -> None:
        """Wait until another worker has taken a run."""
        self.wait(f"another worker takes run {run}", lambda: self.row(run)[0] != "queued")

    def judge(self, run: int) -> list[str]:
        """Return what is wrong with a run in the end."""
        return list(verdict.run(self.house, self.patient, run, self.expected, self.postbox))


@contextmanager
def scene(name: str, surroundings: Mapping[str, str]) -> Iterator[Scene]:
    """Start a house with two workers, send digits, and make the unbroken run."""
    with Postbox.open() as postbox, lived_in(name, surroundings, postbox.address) as house:
        patient = Patient(house.api, LIMIT_SECONDS)
        digits = Digits.write(house.home / "digits")
        collection = make_collection(patient, name)
        Sending(patient=patient, file=digits.archive, collection=collection).run()
        wait_until_read(house, patient, collection)
        patient.change(f"/api/v1/collections/{collection}", {"class_list": make_class_list(patient)})
        one = Scene(house=house, patient=patient, postbox=postbox, collection=collection, expected={})
        run = one.start()
        one.wait(f"the unbroken run {run} ends", lambda: one.row(run)[0] in ("succeeded", "failed"))
        house.start_another_worker()
        one.wait("another worker is there", lambda: len(house.find("node of the runs")) == 2)
        yield Scene(house=house, patient=patient, postbox=postbox, collection=collection,
                    expected={"turtle": answers(patient, run)})


def redelivery(trials: Trials) -> None:
    """Let Redis hand out the message of a running run again, to a worker that has nothing else to do."""
    kind = f"visibility timeout of {VISIBILITY_SECONDS} s, run of 120 s"
    for trial in trials.missing(kind):
        with scene("redelivery", {"LABELFREE_REDELIVER_SECONDS": str(VISIBILITY_SECONDS)}) as one:
            again, seconds, wrong = held_for_long(one)
        trials.add(kind, trial, again, wrong, {"seconds": seconds})


def held_for_long(one: Scene) -> tuple[int, float, list[str]]:
    """Make a run last; return how often its message came again, how long it lasted and what is wrong with it."""
    before, began = received(one.house), time.monotonic()
    run = one.start()
    _, child, _ = one.wait_until_adapting(run)
    with frozen(one.house, child):
        time.sleep(max(0.0, began + HELD_SECONDS - time.monotonic()))
    one.wait(f"run {run} ends", lambda: one.row(run)[0] not in ("queued", "running"))
    seconds = time.monotonic() - began
    again = sum((received(one.house) - before).values()) - 1
    wrong = one.judge(run)
    attempts = one.house.ledger.one("select attempt from runs_run where id = ?", run)
    if attempts != 1:
        wrong.append(f"run {run} needed {attempts} attempts")
    if again < 1 or seconds < 5 * VISIBILITY_SECONDS:
        wrong.append(f"its message came again {again} times in {seconds:.0f} s: nothing was tried")
    return again, seconds, wrong


@contextmanager
def frozen(house: House, *pids: int) -> Iterator[None]:
    """Freeze processes between two writes: in the middle of one they would hold SQLite's lock, and nobody could write.

    What that lock does to everybody is tried among the shortages.

    Raises:
        Refused: they seem to write all the time.
    """
    for _ in range(FREEZES):
        with processes.frozen(*pids):
            if house.ledger.may_be_written():
                yield
                return
        time.sleep(0.2)
    raise Refused(f"processes {pids} were frozen {FREEZES} times in the middle of a write")


def received(house: House) -> Counter[str]:
    """Return how often the workers were handed each message of a run."""
    return Counter(one for log in house.logs.glob("*worker.log*") for one in RECEIVED.findall(log.read_text()))


def zombies(trials: Trials) -> None:
    """Freeze a run's worker past its lease and continue it, in each way."""
    missing = [kind for kind in ZOMBIES if list(trials.missing(kind))]
    if not missing:
        return
    with scene("zombies", {}) as one:
        for kind in missing:
            began = time.monotonic()
            try:
                wrong, figures = ZOMBIES[kind](one)
            except Refused as refused:
                wrong, figures = [str(refused)], {}
            trials.add(kind, 0, 1, wrong, {**figures, "seconds": time.monotonic() - began})


def continued_while_another_has_it(one: Scene, *, both: bool) -> tuple[list[str], dict[str, float]]:
    """Freeze the worker (or both it and its child) until another one has taken the run, then let it go on beside that.

    A child that may go on ends its run if its lease lasts; so it sleeps until that is lost, and is continued before its
    worker is.
    """
    run = one.start()
    node, child, token = one.wait_until_adapting(run)
    if both:
        with frozen(one.house, node, child):
            noticed = one.lose(run, token)
            one.take(run)
    else:
        with frozen(one.house, node):
            with frozen(one.house, child):
                noticed = one.lose(run, token)
            one.take(run)
    one.wait(f"the zombie's child of run {run} ends", lambda: not there(one.house, child), 60)
    one.wait(f"run {run} ends", lambda: one.row(run)[0] not in ("queued", "running"))
    return one.judge(run), {"noticed_seconds": noticed}


def continued_after_the_end(one: Scene) -> tuple[list[str], dict[str, float]]:
    """Freeze the worker until another one has ended the run, then let it go on, and compare every row.

    Its child is continued as soon as its lease is lost.
    """
    run = one.start()
    node, child, token = one.wait_until_adapting(run)
    with frozen(one.house, node):
        with frozen(one.house, child):
            noticed = one.lose(run, token)
        one.wait(f"run {run} ends", lambda: one.row(run)[0] not in ("queued", "running"))
        wrong = one.judge(run)
        before = verdict.traces(one.house, run)
    time.sleep(AWAKE_SECONDS)
    return [*wrong, *verdict.written_since(before, one.house, run)], {"noticed_seconds": noticed}


def never_continued(one: Scene) -> tuple[list[str], dict[str, float]]:
    """Freeze worker and child until the run has ended: the next attempt kills the child, which holds the folder."""
    run = one.start()
    node, child, token = one.wait_until_adapting(run)
    with frozen(one.house, node, child):
        noticed = one.lose(run, token)
        one.wait(f"run {run} ends", lambda: one.row(run)[0] not in ("queued", "running"))
        wrong = one.judge(run)
        if there(one.house, child):
            wrong.append(f"run {run}: the frozen child of its first attempt was not killed")
        before = verdict.traces(one.house, run)
    time.sleep(AWAKE_SECONDS)
    return [*wrong, *verdict.written_since(before, one.house, run)], {"noticed_seconds": noticed}


def child_alone(one: Scene) -> tuple[list[str], dict[str, float]]:
    """Freeze the child alone past the lease that its parent renews, then let it go on: it is still its run."""
    run = one.start()
    _, child, token = one.wait_until_adapting(run)
    with frozen(one.house, child):
        time.sleep(60)
        wrong = [] if one.row(run)[1] == token else [f"run {run} lost its lease though its worker lives"]
    one.wait(f"run {run} ends", lambda: one.row(run)[0] not in ("queued", "running"))
    return [*wrong, *one.judge(run)], {}


def there(house: House, pid: int) -> bool:
    """Tell whether a process of a house lives."""
    return any(one.pid == pid for one in processes.living(house.home))


ZOMBIES: Mapping[str, Callable[[Scene], tuple[list[str], dict[str, float]]]] = {
    "zombie: worker frozen, continued while another has its run":
        lambda one: continued_while_another_has_it(one, both=False),
    "zombie: worker and child frozen, continued while another has their run":
        lambda one: continued_while_another_has_it(one, both=True),
    "zombie: worker frozen, continued after its run has ended": continued_after_the_end,
    "zombie: worker and child frozen for longer than anyone waits": never_continued,
    "child frozen beside its living worker": child_alone,
}
