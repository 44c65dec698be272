"""Fifty people review at once, one uploads, one run adapts, all on one machine: who waits, and for how long.

``make bench-load`` starts the product as `make run` does, once with SQLite and once with a Postgres of its own, in a
new home each. Five teams of ten share a collection of 1,797 real digits each and its finished run;
`benchmarks.reviewers` says what each of them does. Meanwhile an owner sends archives of photographs by tus, one after
another, which a worker reads, and a MUST run adapts to another collection, with everybody looking in on it now and
then. The client runs on the same machine and takes its share of it.

LOAD_AGAIN    1 measures once more what has a row already; the newest row counts
LOAD_SECONDS  for how long the requests are timed; 120
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks import app as house
from benchmarks import commit, reliability, rows
from benchmarks.client import Api, Refused, say
from benchmarks.demo import NAMES, write_digits
from benchmarks.postgres import Postgres
from benchmarks.postgres import database as served
from benchmarks.reviewers import PASSWORD, Desk, Reviewer
from benchmarks.stopwatch import Machine, Stopwatch

PEOPLE, TEAMS = 50, 5
WARM_UP_SECONDS, TIMED_SECONDS = 30.0, float(os.environ.get("LOAD_SECONDS") or 120)
SIGNED_IN_AT_ONCE = 2
ARCHIVES, PHOTOGRAPHS_AN_ARCHIVE = 12, 60
BROWSER_CHUNK_BYTES = 8 * 1024 * 1024
LIMIT_SECONDS = 3600
LONG_RUN = {"method": "must", "settings": {"mirror": False, "epochs": 200}}
KINDS = {name: f"50 reviewers, an upload and a run; {name}" for name in ("SQLite", "Postgres")}


def main() -> int:
    """Measure what has no row yet, each database in a process of its own; print the bounds; return the exit code."""
    if len(sys.argv) > 1:
        measure(sys.argv[1])
        return 0
    found = rows.read_trials(reliability.LOAD)
    for database, kind in KINDS.items():
        if os.environ.get("LOAD_AGAIN") or not any(row.kind == kind for row in found):
            if database == "Postgres" and Postgres.binaries() is None:
                say("This machine has no Postgres to measure.")
                continue
            subprocess.run([sys.executable, "-m", "benchmarks.load", database], check=True)
    reliability.write()
    return reliability.print_bounds(reliability.load_bounds(rows.read_trials(reliability.LOAD)))


def measure(database: str) -> None:
    """Measure one database and keep the row."""
    logging.getLogger("httpx").setLevel(logging.WARNING)  # of each request, it would say that it was sent
    with tempfile.TemporaryDirectory(prefix="labelfree-load-") as folder, served(database) as url, house.running(
            "load", LIMIT_SECONDS, {"DATABASE_URL": url, "REDIS_URL": ""}) as app:
        say(f"{database}: five collections, their runs, fifty people …")
        archives = [write_photographs(Path(folder), number) for number in range(ARCHIVES)]
        desks, live_run, sink = prepare(app.api, Path(folder))
        row = asyncio.run(timed(app.api, desks, live_run, archives, sink, KINDS[database]))
    rows.append(reliability.LOAD, row)
    say(json.dumps(row.figures, indent=1) + "\n" + "\n".join(row.wrong))


def prepare(api: Api, folder: Path) -> tuple[list[Desk], int, int]:
    """Make the teams' desks, start the long run; return them, its number, and the collection that is uploaded to."""
    archive, truth = write_digits(folder)
    names = api.post("/api/v1/class-lists", {"name": "Digits", "names": list(NAMES)})["id"]
    collections, runs = [], []
    for team in range(TEAMS + 1):
        collection = api.send_images(f"Digits of team {team}", archive, len(truth), mirror=False)
        api.change(f"/api/v1/collections/{collection}", {"class_list": names})
        run = api.post(f"/api/v1/collections/{collection}/runs", {"method": "zeroshot"})["id"]
        api.watch(f"zeroshot of team {team}", run)
        collections.append(collection)
        runs.append(run)
    live_run = api.post(f"/api/v1/collections/{collections[TEAMS]}/runs", LONG_RUN)["id"]
    sink = api.post("/api/v1/collections", {"name": "Photographs"})["id"]
    events = make_people(api, collections)
    desks = [Desk(collection=collections[team], images=len(truth), run=runs[team], live_run=live_run, events=events)
             for team in range(TEAMS)]
    while api.get(f"/api/v1/runs/{live_run}")["status"] != "running":
        api.pause()
    return desks, live_run, sink


def make_people(api: Api, collections: list[int]) -> dict[str, int]:
    """Make the reviewers and give them their roles; return the panel's events, which one of them reads."""
    from django.contrib.auth.models import User
    from django.db import connection

    from webapp.collections.models import Collection
    from webapp.sharing.models import Role

    shared = {pk: Collection.objects.get(pk=pk) for pk in collections}
    for person in range(PEOPLE):
        user = User.objects.create_user(f"reviewer-{person}", password=PASSWORD)
        shared[collections[person % TEAMS]].memberships.create(user=user, role=Role.REVIEWER)
        shared[collections[TEAMS]].memberships.create(user=user, role=Role.VIEWER)
    connection.close()
    return asyncio.run(_events(api.base))


async def _events(base: str) -> dict[str, int]:
    desk = Desk(collection=0, images=0, run=0, live_run=0, events={})
    async with contextlib.aclosing(Reviewer(base, "reviewer-0", desk, Stopwatch())) as one:
        await one.sign_in()
        return await one.events()


async def timed(api: Api, desks: list[Desk], live_run: int, archives: list[Path], sink: int, kind: str,
                ) -> rows.TrialRow:
    """Let everybody in, warm up, time, and say what that showed."""
    watch = Stopwatch()
    people = [Reviewer(api.base, f"reviewer-{person}", desks[person % TEAMS], watch) for person in range(PEOPLE)]
    turn = asyncio.Semaphore(SIGNED_IN_AT_ONCE)

    async def enter(one: Reviewer) -> None:
        async with turn:
            await one.sign_in()

    await asyncio.gather(*map(enter, people))
    say("All are signed in; they begin.")
    before, began = state(api, live_run, sink), time.monotonic()
    over = began + WARM_UP_SECONDS + TIMED_SECONDS
    working = [asyncio.create_task(one.work(over)) for one in people]
    with sending(api, archives, sink, over) as sent:
        await asyncio.sleep(WARM_UP_SECONDS)
        machine, watch.is_running = Machine(), True
        await asyncio.sleep(TIMED_SECONDS)
        watch.is_running = False
        own, others, stolen = machine.busy_cores()
        await asyncio.gather(*working)
    after = state(api, live_run, sink)
    wrong = [*watch.wrong, *sent.wrong]
    if after.run_step <= before.run_step:
        wrong.append("the run made no step")
    if not sent.megabytes or after.images <= before.images:
        wrong.append("the upload brought no images")
    api.post(f"/api/v1/runs/{live_run}/cancel", {})
    figures = {f"{name}_p95_ms": value for name, value in watch.p95_milliseconds().items()}
    figures |= {"any_p95_ms": watch.overall_p95_milliseconds(), "requests_per_second": watch.count / TIMED_SECONDS,
                "uploaded_mb": sent.megabytes, "images_read": after.images - before.images,
                "run_steps": after.run_step - before.run_step, "cores": os.cpu_count() or 0,
                "busy_cores_ours": own, "busy_cores_of_others": others, "stolen_cores": stolen,
                "load_average": os.getloadavg()[0]}
    return rows.TrialRow(kind=kind, trial=sum(row.kind == kind for row in rows.read_trials(reliability.LOAD)),
                         count=watch.count, wrong=wrong, version=commit.current(),
                         figures={name: round(value, 2) for name, value in figures.items()})


@dataclass(frozen=True)
class State:
    """How far the run is, and how many photographs have been read."""

    run_step: int
    images: int


def state(api: Api, run: int, sink: int) -> State:
    """Look.

    Raises:
        Refused: the run is over.
    """
    told = api.get(f"/api/v1/runs/{run}")
    if told["status"] != "running":
        raise Refused(f"the run is {told['status']}: {told['error']}")
    return State(told["step"], api.get(f"/api/v1/collections/{sink}")["images"])


class Sent:
    """What the upload has done: megabytes that arrived, and what was wrong."""

    def __init__(self) -> None:
        self.megabytes = 0.0
        self.wrong: list[str] = []


@contextmanager
def sending(api: Api, archives: list[Path], collection: int, until: float) -> Iterator[Sent]:
    """Send one archive after another, evenly until a time of `time.monotonic`."""
    sent = Sent()
    pause_seconds = (until - time.monotonic()) / len(archives)

    def send() -> None:
        for number, archive in enumerate(archives, 1):
            try:
                api.upload(archive, collection, BROWSER_CHUNK_BYTES)
            except (Refused, OSError) as error:
                sent.wrong.append(f"upload: {error}")
                return
            sent.megabytes += archive.stat().st_size / 1e6
            time.sleep(max(0.0, until - time.monotonic() - pause_seconds * (len(archives) - number)))

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield sent
    finally:
        thread.join()


def write_photographs(folder: Path, number: int) -> Path:
    """Write an archive of pictures of a camera's detail, each different; return it."""
    random = np.random.default_rng(number)
    file = folder / f"photographs-{number}.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for index in range(PHOTOGRAPHS_AN_ARCHIVE):
            rough = Image.fromarray(random.integers(0, 256, (60, 80, 3), dtype="uint8"))
            told = io.BytesIO()
            rough.resize((1280, 960), Image.Resampling.BICUBIC).save(told, "JPEG", quality=90)
            archive.writestr(f"{number:03d}-{index:03d}.jpg", told.getvalue())
    return file


if __name__ == "__main__":
    sys.exit(main())
