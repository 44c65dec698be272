"""The rows of a labelfree as they stand in its database: read by plain SQL, not by the code that is on trial."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from typing import Any

import psycopg

PATIENCE_SECONDS = 60.0
WRITE_SECONDS = 5.0


@dataclass(frozen=True)
class Ledger:
    """A database, by its address or its file."""

    address: str

    @property
    def is_postgres(self) -> bool:
        """Tell which kind it is."""
        return self.address.startswith("postgres")

    def ask(self, question: str, *values: object) -> list[tuple[Any, ...]]:
        """Return rows; a database that is away for a moment is waited for."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return self._ask(question, values)
            except (sqlite3.OperationalError, psycopg.OperationalError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.3)

    def may_be_written(self) -> bool:
        """Tell whether anybody may write: one process that stands still in the middle of a write stops all others."""
        if self.is_postgres:
            return True
        connection = sqlite3.connect(self.address, timeout=WRITE_SECONDS, isolation_level=None)
        try:
            connection.execute("begin immediate")
            connection.execute("rollback")
        except sqlite3.OperationalError:
            return False
        finally:
            connection.close()
        return True

    def one(self, question: str, *values: object) -> Any:
        """Return a single value, None where there is no row."""
        found = self.ask(question, *values)
        return found[0][0] if found else None

    def _ask(self, question: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        if self.is_postgres:
            with psycopg.connect(self.address, connect_timeout=5) as connection:
                return connection.execute(question.replace("?", "%s").encode(), values).fetchall()
        connection_ = sqlite3.connect(f"file:{self.address}?mode=ro", uri=True, timeout=20)
        try:
            return connection_.execute(question, values).fetchall()
        finally:
            connection_.close()
