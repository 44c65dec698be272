"""The real application on a free port, with a filled database of its own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]
START_SECONDS = 150


@dataclass(frozen=True)
class Server:
    """A running application and the cookies of three signed-in browsers."""

    url: str
    home: Path
    run: int
    clusters: int
    owner: str
    second: str
    stranger: str

    def client(self, session: str | None = None) -> httpx.Client:
        """Return a client signed in by a session key, or nobody."""
        return httpx.Client(base_url=self.url, cookies={"labelfree_session": session} if session else None,
                            timeout=30, verify=False)  # plain http: loading certificates would be most of a test's time


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Fill a home of its own and serve it by uvicorn, as `manage.py up` does."""
    home = tmp_path_factory.mktemp("home")
    environment = {**os.environ, "LABELFREE_HOME": str(home), "DJANGO_SETTINGS_MODULE": "webapp.config.settings",
                   "OMP_NUM_THREADS": "1", "GALLERY_IMAGES": "150", "REDIS_URL": "redis://127.0.0.1:1/0"}
    made = json.loads(subprocess.run(
        [sys.executable, "-m", "tests.webapp.review.gallery"], env=environment, cwd=ROOT, check=True,
        stdout=subprocess.PIPE, timeout=200).stdout)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (home / "web.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "webapp.config.asgi:application", "--port", str(port),
         "--log-level", "warning"],
        env=environment, cwd=ROOT, stdout=log, stderr=log)
    one = Server(url=f"http://127.0.0.1:{port}", home=home, **made)
    try:
        _wait(one, process)
        yield one
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()


def _wait(server: Server, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, (server.home / "web.log").read_text()
        try:
            httpx.get(f"{server.url}/panel/", timeout=5)
        except httpx.TransportError:
            time.sleep(0.3)
        else:
            return
    raise AssertionError(f"the web did not start in {START_SECONDS} s: {(server.home / 'web.log').read_text()}")
