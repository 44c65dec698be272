"""Start everything on this machine: Redis, the workers and the web, and keep it running."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import sys
import threading
import urllib.error
import urllib.request
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connection
from django.urls import set_script_prefix

from core.errors import LabelfreeError
from webapp.accounts.first_run import base_url, first_link
from webapp.config.home_lock import held_with_others
from workers import app, broker
from workers.supervisor import Program, stopped_by_signals, supervise

WEB_READY_SECONDS = 120
KEEP_ALIVE_SECONDS = 75
"""How long a connection may rest: longer than a proxy in front keeps it, which else sends into one just closed."""


class Command(BaseCommand):
    """Supervise the whole of labelfree."""

    help = "Start Redis, the workers and the web, and keep them running; Ctrl-C stops them in order."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare where the web listens."""
        parser.add_argument("--host", default="127.0.0.1", help="address the web listens on; for one beyond this "
                            "machine, give the name that people type in LABELFREE_HOSTS too")
        parser.add_argument("--quiet", action="store_true", help="show only what a person needs; logs have the rest")

    def handle(self, *args: object, **options: Any) -> None:
        """Prepare the folder and the database, then supervise until Ctrl-C."""
        host, home = str(options["host"]), Path(settings.HOME)
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        home.chmod(0o700)
        with _alone_in(home), stopped_by_signals() as stopping:
            self._refuse_busy_port(host, settings.PORT)
            self._refuse_silent_redis()
            self._refuse_silent_database()
            self._say(f"everything is kept in {home}")
            call_command("migrate", verbosity=0, interactive=False)
            self._say(f"database: {'Postgres' if 'postgres' in settings.DATABASES['default']['ENGINE'] else 'SQLite'}, "
                      "up to date")
            with self._redis(home) as (first_tier, environment):
                tiers = [*first_tier, [self._worker(environment)], [self._web(host, environment)]]
                threading.Thread(target=self._announce, args=[stopping], daemon=True).start()
                supervise(tiers, self._say if not options["quiet"] else lambda line: None, stopping, home / "logs")
            self._say("stopped")

    @contextmanager
    def _redis(self, home: Path) -> Iterator[tuple[list[list[Program]], dict[str, str]]]:
        """Give Redis as a tier of programs (none where one is named), and the environment that names it."""
        if os.environ.get("REDIS_URL"):
            self._say(f"Redis: {app.broker_address()}, not ours to start")
            yield [], {}
            return
        path = broker.socket_path(home)
        try:
            program = broker.redis_program(home, path)
        except LabelfreeError as error:
            raise CommandError(str(error)) from None
        self._say(f"Redis: {program.command[0]}, at {path}")
        try:
            yield [[program]], {"REDIS_URL": f"redis+socket://{path}"}
        finally:
            if path.parent != home:
                shutil.rmtree(path.parent, ignore_errors=True)

    def _worker(self, environment: dict[str, str]) -> Program:
        return Program(name="worker", environment=environment, patience_seconds=7.0,
                       command=[sys.executable, "manage.py", "worker"])

    def _web(self, host: str, environment: dict[str, str]) -> Program:
        """Return the web: one process, for the panel keeps its sessions in memory."""
        return Program(name="web", environment=environment, patience_seconds=4.0, command=[
            sys.executable, "-m", "uvicorn", "webapp.config.asgi:application", "--host", host,
            "--port", str(settings.PORT), "--workers", "1", "--timeout-graceful-shutdown", "2",
            "--timeout-keep-alive", str(KEEP_ALIVE_SECONDS), "--no-access-log", "--log-level", "warning"])

    def _refuse_busy_port(self, host: str, port: int) -> None:
        """Say so at once when another program has the port."""
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                raise CommandError(f"port {port} of {host} is not to be had ({error.strerror}). Stop the program that "
                                   f"uses it, or choose another: LABELFREE_PORT={port + 1} make run") from None

    def _refuse_silent_redis(self) -> None:
        """Say so at once when the Redis that is named does not answer: everything would wait for it without a word."""
        if os.environ.get("REDIS_URL") and not app.broker_answers():
            raise CommandError(f"no Redis answers at {app.broker_address()}. Start it, mend REDIS_URL, or leave "
                               "REDIS_URL out: labelfree then starts one of its own")

    def _refuse_silent_database(self) -> None:
        """Say so at once when the database does not answer."""
        try:
            connection.ensure_connection()
        except OperationalError as error:
            known = connection.settings_dict
            at_server = f"{known['HOST'] or 'this machine'}:{known['PORT'] or 5432}"
            place = at_server if connection.vendor == "postgresql" else known["NAME"]
            reason = str(error).partition("\n")[0].rpartition("failed: ")[2]
            raise CommandError(f"the database at {place} is not to be had ({reason}). Start it, or mend "
                               "DATABASE_URL") from None

    def _announce(self, stopping: threading.Event) -> None:
        """Print where to go as soon as the web answers."""
        for _ in range(WEB_READY_SECONDS * 2):
            if stopping.wait(0.5):
                return
            if _answers(f"http://127.0.0.1:{settings.PORT}/"):
                break
        set_script_prefix(f"{settings.URL_PREFIX}/")  # Django sets it for the main thread, which this is not
        link = first_link()
        if link:
            self._say(f"\n  labelfree is ready. Make yourself the administrator (this link works once):\n\n  {link}\n")
        else:
            self._say(f"\n  labelfree is ready: {base_url()}{settings.URL_PREFIX}/\n")

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


@contextmanager
def _alone_in(home: Path) -> Iterator[None]:
    """Refuse to start twice in one folder."""
    with (home / "up.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CommandError(f"labelfree runs already in {home}. Stop it first, or choose another folder: "
                               "LABELFREE_HOME=/path make run") from None
        try:
            in_use = held_with_others()
        except LabelfreeError as error:
            raise CommandError(str(error)) from None
        with in_use:
            yield


def _answers(url: str) -> bool:
    """Tell whether a web server answers, whatever it says."""
    try:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=2).close()  # never by a proxy
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True
