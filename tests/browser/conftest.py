"""The whole product on a free port, in a home of its own, and a browser to click with."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, sync_playwright
from sklearn.datasets import load_digits

ROOT = Path(__file__).parents[2]
SCREENSHOTS = ROOT / "var" / "screenshots"
IMAGE_COUNT = 1000


@dataclass
class Product:
    """A running labelfree: its address, what it printed, its process."""

    address: str
    home: Path
    process: subprocess.Popen[str]
    printed: list[str] = field(default_factory=list)

    def listen(self) -> None:
        """Keep what the process prints until it closes its end, then close ours."""
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            self.printed.extend(lines)

    def first_link(self, timeout_seconds: float = 90) -> str:
        """Return the one-time link that the first start prints."""
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            assert self.process.poll() is None, "".join(self.printed)
            for line in list(self.printed):
                if found := re.search(r"http://\S+/link/\S+", line):
                    return found.group().rstrip(".,")
            time.sleep(0.2)
        raise AssertionError("no first-run link:\n" + "".join(self.printed))


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    """Start everything as a newcomer does; stop it all afterwards."""
    with started() as running:
        yield running


@contextmanager
def started(**settings: str) -> Iterator[Product]:
    """Start everything with some settings of the environment; stop it all afterwards."""
    home, port = Path(tempfile.mkdtemp(prefix="lf-")), free_port()
    environment = {**os.environ, "LABELFREE_HOME": str(home), "LABELFREE_PORT": str(port), "PYTHONUNBUFFERED": "1",
                   **settings}
    process = subprocess.Popen([sys.executable, "manage.py", "up"], cwd=ROOT, env=environment, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    running = Product(f"http://127.0.0.1:{port}", home, process)
    reader = threading.Thread(target=running.listen, daemon=True)
    reader.start()
    try:
        yield running
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        finally:
            process.kill()
            process.wait()
            reader.join(10)
            shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    """Start Chromium."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=str(chromium), args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a folder of 1,000 real digits, one of them rotated by EXIF, and one file that is no image."""
    folder = tmp_path_factory.mktemp("chosen") / "herbarium"
    folder.mkdir()
    pixels = load_digits().images[:IMAGE_COUNT]
    for number, one in enumerate(pixels):
        image = Image.fromarray((one * (255 / 16)).astype("uint8"))
        if number == 7:
            turned = Image.Exif()
            turned[0x0112] = 6  # to be shown after a quarter turn clockwise
            image.resize((48, 64)).rotate(90, expand=True).save(folder / f"{number:04d}.jpg", exif=turned, quality=95)
        else:
            image.save(folder / f"{number:04d}.png")
    (folder / "damaged.jpg").write_bytes((folder / "0007.jpg").read_bytes()[:300])
    return folder
