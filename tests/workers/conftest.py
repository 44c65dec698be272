"""What the worker's tests share: a collection of real digits in rows, and a Redis where the settings look for it."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread

import django
import pytest
from django.conf import settings
from django.db import connections
from django.utils import timezone

from core.catalog import METHODS
from tests import machine
from tests.core import random_weights
from workers.supervisor import Program

django.setup()  # pytest reads this file before it configures Django

from django.contrib.auth.models import User  # noqa: E402

from webapp.collections.models import ClassList, ClassListVersion, Collection, Image, TrueLabel  # noqa: E402
from webapp.runs.models import Run  # noqa: E402
from workers import runs  # noqa: E402

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@pytest.fixture(scope="session")
def random_starters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write starters of random weights; return their folder."""
    return random_weights.write_starters(tmp_path_factory.mktemp("weights"))


@pytest.fixture
def starters(random_starters: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let this process and its children load the starters of random weights."""
    monkeypatch.setenv("LABELFREE_WEIGHTS", str(random_starters))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return random_starters


@pytest.fixture
def owner(transactional_db: None) -> User:
    """Return someone who owns what follows."""
    return User.objects.create_user("alice")


@pytest.fixture
def collection(owner: User, digits: tuple[Path, list[int]]) -> Collection:
    """Return sixty real digits with their truth, stored as ingest stores them."""
    one = Collection.objects.create(owner=owner, name="digits", mirror=False)
    folder, truth = digits
    for number, (path, label) in enumerate(zip(sorted(folder.iterdir()), truth, strict=True)):
        add_image(one, number, path, DIGITS[label])
    return one


def add_image(collection: Collection, number: int, path: Path, label: str, **fields: object) -> Image:
    """Store one image and its truth."""
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    stored = Path(f"images/{collection.pk}/{sha256[:2]}/{sha256}.png")
    target = Path(settings.MEDIA_ROOT) / stored
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)
    image = Image.objects.create(collection=collection, number=number, path=path.name, sha256=sha256, file=str(stored),
                                 thumbnail="", width_px=8, height_px=8, **fields)
    TrueLabel.objects.create(image=image, name=label)
    return image


@pytest.fixture
def names(owner: User) -> ClassListVersion:
    """Return the names of the digits as a class list."""
    return ClassListVersion.objects.create(class_list=ClassList.objects.create(owner=owner, name="digits"), number=1,
                                           names=list(DIGITS))


@pytest.fixture
def make_run(collection: Collection, names: ClassListVersion) -> Callable[..., Run]:
    """Return a function that queues a run."""
    def make(method: str, **fields: object) -> Run:
        if METHODS[method].needs == "names":
            fields.setdefault("class_list_version", names)
        fields.setdefault("num_classes", len(DIGITS))
        return Run.objects.create(collection=collection, owner=collection.owner, method=method, **fields)

    return make


@pytest.fixture
def execute(starters: Path) -> Callable[[Run], Run]:
    """Return a function that does one attempt of a run, as a worker does, and gives the row after it."""
    def attempt(run: Run) -> Run:
        runs.execute(run.pk, Event())
        run.refresh_from_db()
        return run

    return attempt


@pytest.fixture
def broker() -> Iterator[str]:
    """Start a Redis where the settings look for one; give its address."""
    binary = machine.redis_server()
    if binary is None:
        pytest.skip("no redis-server: install Redis")
    socket = Path(settings.HOME) / "redis.sock"
    process = subprocess.Popen([binary, "--port", "0", "--unixsocket", socket, "--save", "", "--dir", settings.HOME],
                               stdout=subprocess.DEVNULL)
    wait_for(socket.exists)
    yield f"redis+socket://{socket}"
    process.terminate()
    process.wait(10)


def wait_for(condition: Callable[[], object], timeout_seconds: float = 30) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_seconds} s"
        time.sleep(0.05)


def expire(run: Run) -> None:
    """Let a run's lease have ended a second ago."""
    Run.objects.filter(pk=run.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))


@contextmanager
def executing(run: Run, timeout_seconds: float = 120) -> Iterator[Event]:
    """Do an attempt of a run in a thread, as a node of the queue does; give the event that tells it to stop."""
    stopping = Event()

    def attempt() -> None:
        try:
            runs.execute(run.pk, stopping)
        finally:
            connections.close_all()

    thread = Thread(target=attempt)
    thread.start()
    try:
        yield stopping
        thread.join(timeout_seconds)
        assert not thread.is_alive(), "the attempt does not end"
    finally:
        if thread.is_alive():
            stopping.set()
            thread.join(timeout_seconds)


@contextmanager
def running(program: Program) -> Iterator[None]:
    """Run a program of the worker, without showing what it says."""
    process = subprocess.Popen(program.command, env={**os.environ, **program.environment},
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def processes(*words: str) -> list[int]:
    """Return the ids of the living processes whose command line has all of these arguments."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            arguments = (folder / "cmdline").read_bytes().decode().split("\0") if folder.name.isdigit() else []
        except OSError:
            continue  # it has just ended
        if arguments and set(words) <= set(arguments):
            found.append(int(folder.name))
    return found


def child_of(run: Run) -> int:
    """Return the process id of a run's child, waiting for it: a run has started a moment before its child has."""
    words = ("workers.child", str(run.pk), Run.objects.get(pk=run.pk).lease_token)
    wait_for(lambda: processes(*words), 30)
    [process_id] = processes(*words)
    return process_id


@contextmanager
def held(process_id: int) -> Iterator[int]:
    """Stop a process where it is, and let it go on afterwards."""
    os.kill(process_id, signal.SIGSTOP)
    try:
        yield process_id
    finally:
        os.kill(process_id, signal.SIGCONT)


def is_pending(process_id: int, sent: signal.Signals) -> bool:
    """Tell whether a process has been sent a signal that it has not taken yet."""
    status = Path(f"/proc/{process_id}/status").read_text()
    pending = [int(line.split()[1], 16) for line in status.splitlines() if line.startswith(("SigPnd:", "ShdPnd:"))]
    return any(mask >> (sent - 1) & 1 for mask in pending)


def adapting(run: Run, share: float = 0.0) -> Callable[[], bool]:
    """Return a condition: the method has done more than this share of its steps, and the row says so."""
    def holds() -> bool:
        run.refresh_from_db()
        assert not run.is_terminal, (run.status, run.error)
        return run.total > 0 and run.step > share * run.total
    return holds
