"""labelfree itself, started in a folder of its own, for a program that uses it by its public API.

LABELFREE_HOME  where everything is kept; ./var/NAME, made anew each time
LABELFREE_PORT  the web's port; the first free one from 8000
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.client import Api, Refused

SOURCES = Path(__file__).resolve().parents[1]
START_LIMIT_SECONDS = 900
STOP_SECONDS = 20


@dataclass(frozen=True, kw_only=True)
class App:
    """A running labelfree.

    Attributes:
        home: where it keeps everything.
        process: `manage.py up`.
    """

    home: Path
    api: Api
    process: subprocess.Popen[bytes]

    @property
    def logs(self) -> Path:
        """Return where it writes what it does."""
        return self.home / "logs"


@contextmanager
def running(name: str, limit_seconds: float, surroundings: Mapping[str, str] | None = None) -> Iterator[App]:
    """Start everything as `make run` does, in a new home with one person; stop it in the end.

    Args:
        name: of the home, the person and the verb that made them.
        limit_seconds: after which the client gives up.
        surroundings: environment variables besides the home, the port and no model hub.

    Raises:
        Refused: it did not start.
    """
    home, port = choose_home(name), choose_port()
    os.environ.update(LABELFREE_HOME=str(home), LABELFREE_PORT=str(port), HF_HUB_OFFLINE="1",
                      DJANGO_SETTINGS_MODULE="webapp.config.settings", **(surroundings or {}))
    api = Api(f"http://127.0.0.1:{port}", make_person(name), time.monotonic() + limit_seconds)
    app = App(home=home, api=api, process=start(home))
    try:
        wait_until_it_answers(app)
        yield app
    finally:
        stop(app.process)


def choose_home(name: str) -> Path:
    """Return an empty folder; what an earlier run of the same verb left is removed, anything else is left alone."""
    home = Path(os.environ.get("LABELFREE_HOME") or SOURCES / "var" / name).resolve()
    mark = home / f"made-by-make-{name}"
    if home.exists() and any(home.iterdir()):
        if not mark.exists():
            raise SystemExit(f"{home} holds something that make {name} did not make; name another folder: "
                             f"LABELFREE_HOME=/path make {name}")
        shutil.rmtree(home)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    mark.write_text(f"`make {name}` removes this folder when it runs again.\n")
    return home


def choose_port(first: int = 8000) -> int:
    """Return the web's port that was asked for, else the first free one of a hundred from `first`."""
    if first == 8000 and os.environ.get("LABELFREE_PORT"):
        return int(os.environ["LABELFREE_PORT"])
    for port in range(first, first + 100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
    raise SystemExit(f"no port from {first} to {first + 99} is free; name one: LABELFREE_PORT=9000")


def make_person(name: str) -> str:
    """Prepare the database and make a person; return an API token."""
    import django

    django.setup()
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.db import connection

    from webapp.accounts.models import ApiToken

    call_command("migrate", verbosity=0)
    _, token = ApiToken.issue(User.objects.create_superuser(name), f"make {name}")
    connection.close()
    return token


def start(home: Path) -> subprocess.Popen[bytes]:
    """Start everything; what it prints goes to a log."""
    (home / "logs").mkdir(mode=0o700, exist_ok=True)
    with (home / "logs" / "up.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, str(SOURCES / "workers" / "tether.py"), str(os.getpid()),
             sys.executable, str(SOURCES / "manage.py"), "up"],
            cwd=SOURCES, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)


def wait_until_it_answers(app: App, limit_seconds: float = START_LIMIT_SECONDS) -> None:
    """Wait for the web.

    Raises:
        Refused: it ended, or says nothing.
    """
    began = time.monotonic()
    while time.monotonic() - began < limit_seconds:
        if app.process.poll() is not None:
            raise Refused("it did not start:\n" + (app.logs / "up.log").read_text(errors="replace")[-2000:])
        try:
            app.api.get("/api/v1/collections")
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.5)
        else:
            return
    raise Refused(f"the web did not answer within {limit_seconds:.0f} s")


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop everything in order."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
