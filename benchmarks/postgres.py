"""A Postgres of one's own in a temporary folder, that may be killed and restarted; the machine's is left alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from benchmarks.app import choose_port

PERSON, DATABASE = "breaker", "labelfree"
SYSTEM_USER = "postgres"
"""Who the server runs as where this program is root: it refuses to be root's."""


@dataclass(frozen=True)
class Postgres:
    """A cluster.

    Attributes:
        folder: its files.
        address: of its one database.
        port: where it listens, on this machine only.
    """

    folder: Path
    address: str
    port: int

    @staticmethod
    def binaries() -> Path | None:
        """Return the folder of the server's programs, None where there are none that could be run."""
        if os.geteuid() == 0 and not (shutil.which("runuser") and SYSTEM_USER in Path("/etc/passwd").read_text()):
            return None
        on_path = shutil.which("initdb")
        found = [*Path("/usr/lib/postgresql").glob("*/bin/initdb"), *([Path(on_path)] if on_path else [])]
        return sorted(found)[-1].parent if found else None

    @classmethod
    @contextmanager
    def cluster(cls) -> Iterator[Postgres]:
        """Make one, start it, and remove it in the end."""
        folder = Path(tempfile.mkdtemp(prefix="labelfree-postgres-"))
        port = choose_port(15432)
        one = cls(folder, f"postgres://{PERSON}@127.0.0.1:{port}/{DATABASE}", port)
        if os.geteuid() == 0:
            shutil.chown(folder, SYSTEM_USER)
        try:
            one._run("initdb", "--pgdata", folder / "data", "--username", PERSON, "--auth", "trust", "--no-sync")
            one.start()
            try:
                with psycopg.connect(one.address.removesuffix(DATABASE) + "postgres", autocommit=True) as connection:
                    connection.execute(f"create database {DATABASE}".encode())
                yield one
            finally:
                one.stop()
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def start(self) -> None:
        """Start the server and wait until it answers."""
        self._run("pg_ctl", "start", "--wait", "--pgdata", self.folder / "data", "--log", self.folder / "log",
                  "--options", f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder}")

    def stop(self) -> None:
        """Stop it as a crash does: at once, whoever is connected."""
        self._run("pg_ctl", "stop", "--wait", "--pgdata", self.folder / "data", "--mode", "immediate")

    def _run(self, program: str, *arguments: object) -> None:
        folder = self.binaries()
        assert folder is not None
        command = [str(folder / program), *map(str, arguments)]
        if os.geteuid() == 0:
            command = ["runuser", "-u", SYSTEM_USER, "--", *command]
        subprocess.run(command, cwd=self.folder, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)


@contextmanager
def database(kind: str) -> Iterator[str]:
    """Give a DATABASE_URL: of a Postgres made for this, or "" for SQLite."""
    if kind == "Postgres":
        with Postgres.cluster() as cluster:
            yield cluster.address
    else:
        yield ""
