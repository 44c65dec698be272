"""A consistent copy of the database beside a working application, and the way back; SQLite and Postgres.

Both go below Django's models, so that a backup is of the tables as they are, not as this release reads them.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.conf import settings
from django.db import connection, connections

from core.errors import DataError

Rows = Callable[[str], Sequence[tuple[Any, ...]]]
"""Runs one SELECT on what was copied."""


def engine() -> str:
    """Return the kind of database: "sqlite" or "postgresql"."""
    return connection.vendor


@contextmanager
def copied(target: Path) -> Iterator[Rows]:
    """Copy the database as it is at one moment; while open, rows of that very moment can be read.

    Raises:
        DataError: if the database's own program is missing or fails.
    """
    target.touch(mode=0o600)
    with (_copied_sqlite if engine() == "sqlite" else _copied_postgres)(target) as rows:
        yield rows


def put_back(source: Path) -> None:
    """Make the database what a copy says, in one step: all of it or nothing.

    Raises:
        DataError: if the database's own program is missing or fails.
    """
    if engine() == "sqlite":
        connection.close()
        with closing(sqlite3.connect(source)) as copy, closing(sqlite3.connect(_name())) as live:
            copy.backup(live)
    else:
        connections.close_all()
        with TemporaryDirectory(dir=settings.HOME) as folder:  # readable by us alone
            script = str(Path(folder) / "restore.sql")
            _run("pg_restore", "--no-owner", "--no-privileges", "--file", script, str(source))
            # pg_restore's own --clean leaves the tables of a newer release, over which migrations would stumble.
            _run("psql", "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--single-transaction",
                 "--dbname", _name(), "--command", "DROP SCHEMA public CASCADE; CREATE SCHEMA public", "--file", script)


@contextmanager
def _copied_sqlite(target: Path) -> Iterator[Rows]:
    """SQLite's online backup: pages are copied under a read lock, the write-ahead log included."""
    with closing(sqlite3.connect(_name())) as live, closing(sqlite3.connect(target)) as copy:
        live.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")  # one file, no log beside it
        broken = copy.execute("PRAGMA quick_check").fetchone()[0]
        if broken != "ok":
            raise DataError(_name(), f"the database is damaged ({broken}); restore the last good backup")
        yield lambda select: copy.execute(select).fetchall()


@contextmanager
def _copied_postgres(target: Path) -> Iterator[Rows]:
    """pg_dump on an exported snapshot, which this transaction keeps open to read the same rows."""
    connection.ensure_connection()
    with closing(connection.get_new_connection(connection.get_connection_params())) as reader:
        reader.autocommit = False
        with reader.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            cursor.execute("SELECT pg_export_snapshot()")
            snapshot = cursor.fetchone()[0]
            _run("pg_dump", "--format=custom", f"--snapshot={snapshot}", "--file", str(target), _name())

            def rows(select: str) -> Sequence[tuple[Any, ...]]:
                cursor.execute(select)
                return list(cursor.fetchall())

            yield rows


def _name() -> str:
    return str(connection.settings_dict["NAME"])


def _run(program: str, *arguments: str) -> None:
    """Run one of Postgres's own programs against our database; its password goes by the environment."""
    if shutil.which(program) is None:
        raise DataError(program, "not on this machine; install Postgres's client programs (postgresql-client)")
    known = connection.settings_dict
    named = {"PGHOST": known["HOST"], "PGPORT": known["PORT"], "PGUSER": known["USER"], "PGPASSWORD": known["PASSWORD"]}
    environment = {**os.environ, **{name: str(value) for name, value in named.items() if value}}
    done = subprocess.run([program, *arguments], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DataError(program, f"failed: {done.stderr.strip()[-1000:]}")
