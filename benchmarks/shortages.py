"""Shortages: a disk that is full, a database that is locked or away, a queue that is empty where it was not.

Each begins while images are sent or a run adapts, has to be said in words while it lasts, and must have cost nothing
once it is over.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import redis
from PIL import Image

from benchmarks import processes, verdict
from benchmarks.client import Refused
from benchmarks.digits import (
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
from benchmarks.patience import LOST, Patient, Sending, digest
from benchmarks.postbox import Postbox
from benchmarks.postgres import Postgres
from benchmarks.small_disk import SmallDisk
from benchmarks.trials import Trials

LIMIT_SECONDS = 1500.0
DISK_MEGABYTES = 700
"""More than the 200 MB that uploads leave free, so that a file is taken before the disk fills."""
LOCKED_SECONDS = 60.0
"""Longer than a worker's lease."""
AWAY_SECONDS = 20.0
NOISE_PX, NOISE_IMAGES = 400, 24
SMALL_ZERO_SHOT = {"settings": {"templates": "one"}}
OVER = ("succeeded", "failed", "cancelled")
Found = tuple[list[str], dict[str, float]]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A house with a collection of digits, and what its unbroken runs answer."""

    house: House
    patient: Patient
    postbox: Postbox
    digits: Digits
    collection: int
    expected: Mapping[str, Answers]

    def status(self, run: int) -> tuple[str, str, bool]:
        """Return a run's status, its words, and whether it may be resumed."""
        status, error, retryable = self.house.ledger.ask("select status, error, retryable from runs_run where id = ?",
                                                         run)[0]
        return status, error, bool(retryable)

    def wait(self, what: str, condition: Callable[[], object]) -> None:
        """Wait until a condition holds.

        Raises:
            Refused: it does not.
        """
        deadline = time.monotonic() + LIMIT_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise Refused(f"not within {LIMIT_SECONDS:.0f} s: {what}")
            time.sleep(0.2)

    def wait_for_end(self, run: int) -> None:
        """Wait until a run is over."""
        self.wait(f"run {run} ends", lambda: self.status(run)[0] in OVER)

    def resume(self, run: int) -> None:
        """Let a failed run go on, and wait for its end."""
        resume(self.house, self.patient, run)
        self.wait_for_end(run)

    def judge(self, run: int) -> list[str]:
        """Return what is wrong with a run in the end."""
        return list(verdict.run(self.house, self.patient, run, self.expected, self.postbox))


@contextmanager
def stage(name: str, database: str = "", furnish: Callable[[Path], None] = lambda home: None) -> Iterator[Stage]:
    """Start a house, send digits and make the unbroken runs."""
    with Postbox.open() as postbox, lived_in(name, {"DATABASE_URL": database}, postbox.address, furnish) as house:
        patient = Patient(house.api, LIMIT_SECONDS)
        digits = Digits.write(house.home / "digits")
        collection = make_collection(patient, name)
        Sending(patient=patient, file=digits.archive, collection=collection).run()
        wait_until_read(house, patient, collection)
        patient.change(f"/api/v1/collections/{collection}", {"class_list": make_class_list(patient)})
        one = Stage(house=house, patient=patient, postbox=postbox, digits=digits, collection=collection, expected={})
        run = start(patient, collection, "must", SMALL["must"])
        one.wait_for_end(run)
        baseline = house.ledger.one("select baseline_id from runs_run where id = ?", run)
        yield Stage(house=house, patient=patient, postbox=postbox, digits=digits, collection=collection,
                    expected={"must": answers(patient, run), "zeroshot": answers(patient, baseline)})


def disks(trials: Trials) -> None:
    """Fill the disk of uploads, images and runs at each moment at which something is written there."""
    missing = [kind for kind in DISKS if list(trials.missing(kind))]
    if missing and SmallDisk.can_be_had():
        with SmallDisk.mounted(DISK_MEGABYTES) as disk, stage("disks", furnish=disk.furnish) as one:
            for kind in missing:
                _try(trials, kind, lambda kind=kind: DISKS[kind](one, disk))


def databases(trials: Trials) -> None:
    """Lock SQLite, restart Postgres, empty Redis."""
    missing = [kind for kind in ON_SQLITE if list(trials.missing(kind))]
    if missing:
        with stage("databases") as one:
            for kind in missing:
                _try(trials, kind, lambda kind=kind: ON_SQLITE[kind](one))
    kind = "Postgres away for 20 s, by a crash"
    if Postgres.binaries() and list(trials.missing(kind)):
        with Postgres.cluster() as cluster, stage("postgres", cluster.address) as one:
            _try(trials, kind, lambda: while_away(one, cluster))


def _try(trials: Trials, kind: str, attempt: Callable[[], Found]) -> None:
    began = time.monotonic()
    try:
        wrong, figures = attempt()
    except Refused as refused:
        wrong, figures = [str(refused)], {}
    trials.add(kind, 0, 1, wrong, {**figures, "seconds": time.monotonic() - began})


def full_while_sending(one: Stage, disk: SmallDisk) -> Found:
    """Fill the disk in the middle of an upload: it is refused in words, and goes on where it was."""
    collection = make_collection(one.patient, "sent to a full disk")
    archive = write_noise(one.house.home / "noise-sent", 1)
    sending = Sending(patient=Patient(one.house.api, LIMIT_SECONDS), file=archive, collection=collection,
                      chunk_bytes=256 * 1024, pause_seconds=0.5)
    beside = threading.Thread(target=sending.run, daemon=True)
    beside.start()
    one.wait("a chunk arrives", lambda: one.house.ledger.one(
        "select received_bytes from collections_upload where collection_id = ?", collection))
    with disk.filled(1_000_000):
        one.wait("the full disk is met", lambda: sending.patient.answers.total() >= 3)
        before = one.house.ledger.one("select received_bytes from collections_upload where collection_id = ?",
                                      collection)
    beside.join(LIMIT_SECONDS)
    wait_until_read(one.house, one.patient, collection)
    words = sending.patient.words.get(507, "")
    wrong = [] if "disk" in words and before else [f"a full disk was answered by {sending.patient.words}"]
    return [*wrong, *verdict.images(one.house, collection, noise_of(archive))], {
        "sent_twice_bytes": sending.sent_bytes - archive.stat().st_size}


def full_while_reading(one: Stage, disk: SmallDisk) -> Found:
    """Fill the disk while images and thumbnails are written: the upload says so, waits, and goes on by itself."""
    collection = make_collection(one.patient, "read on a full disk")
    archive = write_noise(one.house.home / "noise-read", 2)
    message = "select status, message from collections_upload where collection_id = ?"
    with ExitStack() as filling:
        with processes.frozen(*one.house.find("node of the files")):
            Sending(patient=one.patient, file=archive, collection=collection).run()
            filling.enter_context(disk.filled(2_000_000))
        one.wait("the upload says that the disk is full",
                 lambda: "disk is full" in one.house.ledger.ask(message, collection)[0][1])
        shown = one.patient.get(f"/api/v1/collections/{collection}")
    began = time.monotonic()
    wait_until_read(one.house, one.patient, collection)
    wrong = [] if shown["images"] < NOISE_IMAGES else ["every image was stored on a full disk: nothing was tried"]
    if not any("disk is full" in upload["message"] for upload in shown["pending_uploads"]):
        wrong.append(f"the API does not say that the disk is full: {shown['pending_uploads']}")
    return [*wrong, *verdict.images(one.house, collection, noise_of(archive))], {
        "went_on_after_seconds": time.monotonic() - began}


def full_at_checkpoint(one: Stage, disk: SmallDisk) -> Found:
    """Leave no room for a checkpoint of MUST."""
    return _full_for_a_run(one, disk, "must", 300_000, "free some space, then resume the run")


def full_at_export(one: Stage, disk: SmallDisk) -> Found:
    """Leave no room for the package of zero-shot, which saves no checkpoint."""
    return _full_for_a_run(one, disk, "zeroshot", 1_000_000, "free some space and try again")


def _full_for_a_run(one: Stage, disk: SmallDisk, method: str, leaving_bytes: int, words: str) -> Found:
    one.wait("the run before has tidied up: it would make room", lambda: not one.house.find("child"))
    with disk.filled(leaving_bytes):
        run = start(one.patient, one.collection, method, SMALL.get(method, SMALL_ZERO_SHOT))
        one.wait_for_end(run)
        status, error, retryable = one.status(run)
    wrong = []
    if status != "failed" or words not in error or not retryable:
        wrong.append(f"on a full disk run {run} {status}, {'' if retryable else 'not '}to be resumed: {error!r}")
    if status == "failed":
        one.resume(run)
    return [*wrong, *one.judge(run)], {}


def locked(one: Stage) -> Found:
    """Hold SQLite's write lock for longer than anybody waits, while images are sent and a run adapts."""
    @contextmanager
    def writer() -> Iterator[None]:
        connection = sqlite3.connect(one.house.home / "db.sqlite3", timeout=60, isolation_level=None)
        connection.execute("begin immediate")
        try:
            yield
            time.sleep(LOCKED_SECONDS)
        finally:
            connection.execute("rollback")
            connection.close()

    return _interrupted(one, "sent to a locked database", writer())


def while_away(one: Stage, cluster: Postgres) -> Found:
    """Let Postgres crash, and start it again after a while."""
    @contextmanager
    def crash() -> Iterator[None]:
        cluster.stop()
        try:
            yield
            time.sleep(AWAY_SECONDS)
        finally:
            cluster.start()

    return _interrupted(one, "sent while Postgres was away", crash())


def flushed(one: Stage) -> Found:
    """Empty Redis while uploads and runs wait in it."""
    @contextmanager
    def flush() -> Iterator[None]:
        redis.Redis(unix_socket_path=str(one.house.home / "redis.sock")).flushall()
        yield

    return _interrupted(one, "sent to a flushed queue", flush(), must_be_refused=False)


def restarted_empty(one: Stage) -> Found:
    """Kill Redis and remove what it kept: it starts again with nothing."""
    @contextmanager
    def lose() -> Iterator[None]:
        before = one.house.find("redis")
        for file in sorted((one.house.home / "redis").rglob("*"), reverse=True):
            if file.is_file():
                file.unlink()
        for pid in before:
            processes.kill(pid)
        one.wait("Redis starts again", lambda: set(one.house.find("redis")) - set(before))
        yield

    return _interrupted(one, "sent to an empty queue", lose(), must_be_refused=False)


def _interrupted(one: Stage, name: str, fault: AbstractContextManager[None], must_be_refused: bool = True) -> Found:
    """Send images and start a run, let a fault happen while a page asks, and see what is there in the end."""
    collection = make_collection(one.patient, name)
    run = start(one.patient, one.collection, "must", SMALL["must"])
    waiting = start(one.patient, one.collection, "zeroshot", SMALL_ZERO_SHOT)
    one.wait(f"run {run} adapts", lambda: one.house.ledger.one("select step from runs_run where id = ?", run)
             or one.status(run)[0] in OVER)
    sendings = [Sending(patient=Patient(one.house.api, LIMIT_SECONDS), file=file, collection=collection)
                for file in one.digits.files[:10]]
    beside = threading.Thread(target=lambda: [sending.run() for sending in sendings], daemon=True)
    said: dict[int, str] = {}
    with fault:
        beside.start()
        for _ in range(5):
            said |= ask_for_writing(one, collection)
    began = time.monotonic()
    beside.join(LIMIT_SECONDS)
    wait_until_read(one.house, one.patient, collection)
    wrong = [f"answered {status} in no words: {words[:200]!r}" for status, words in said.items()
             if not is_in_words(words)]
    if must_be_refused and not said:
        wrong.append("nobody noticed that the database was away: nothing was tried")
    for pk in (run, waiting):
        one.wait_for_end(pk)
        if one.status(pk)[0] == "failed":
            wrong.append(f"run {pk} failed: {one.status(pk)[1]}")
            one.resume(pk)
        wrong += one.judge(pk)
    sent = [(file.name, digest(file)) for file in one.digits.files[:10]]
    return [*wrong, *verdict.images(one.house, collection, sent)], {"over_after_seconds": time.monotonic() - began}


def ask_for_writing(one: Stage, collection: int) -> dict[int, str]:
    """Ask for something small that writes and something that reads; return the words of what was refused, by status."""
    said = {}
    for ask in (lambda: one.house.api.change(f"/api/v1/collections/{collection}", {"mirror": False}),
                lambda: one.house.api.get(f"/api/v1/collections/{collection}")):
        try:
            ask()
        except Refused as refused:
            said[refused.status] = refused.said
        except LOST as error:
            said[0] = str(error)
        time.sleep(1)
    return said


def is_in_words(said: str) -> bool:
    """Tell whether a refusal names what is wrong and what to do, as the API's do."""
    try:
        error = json.loads(said)["error"]
    except (ValueError, KeyError, TypeError):
        return False
    return bool(error["reason"] and error["fix"]) and "Traceback" not in said


def write_noise(folder: Path, seed: int) -> Path:
    """Write an archive of images that no format makes smaller."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(seed)
    with zipfile.ZipFile(folder / "noise.zip", "w") as package:
        for number in range(NOISE_IMAGES):
            file = folder / f"noise-{number:03d}.png"
            Image.fromarray(generator.integers(0, 256, (NOISE_PX, NOISE_PX, 3), dtype=np.uint8)).save(file)
            package.write(file, file.name)
    return folder / "noise.zip"


def noise_of(archive: Path) -> list[tuple[str, str]]:
    """Return name and SHA-256 of each image of such an archive."""
    return [(one.name, digest(one)) for one in sorted(archive.parent.glob("noise-*.png"))]


DISKS: Mapping[str, Callable[[Stage, SmallDisk], Found]] = {
    "disk full (tmpfs) while sending": full_while_sending,
    "disk full (tmpfs) while reading and thumbnailing": full_while_reading,
    "disk full (tmpfs) at a checkpoint": full_at_checkpoint,
    "disk full (tmpfs) at the export": full_at_export,
}
ON_SQLITE: Mapping[str, Callable[[Stage], Found]] = {
    "SQLite locked for 60 s by another writer": locked,
    "Redis flushed": flushed,
    "Redis killed and restarted empty": restarted_empty,
}
