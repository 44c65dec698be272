"""Whether work can be done here: the database, Redis and a worker, each with what to do where it is missing."""

from __future__ import annotations

from django.db import DatabaseError, connection

from webapp.runs import presence
from workers.app import broker_answers

OK = "ok"
QUEUES = {"gpu": "runs", "cpu": "uploads"}
"""Each queue of the workers, and the part of the installation that stands still without it."""


def readiness() -> dict[str, str]:
    """Return each part's state: `OK`, or what is wrong and the fix."""
    parts = {"database": _database(), "redis": OK if broker_answers() else
             "does not answer; start it, or mend REDIS_URL. What is queued waits in the database"}
    for queue, part in QUEUES.items():
        parts[part] = _worker(queue) if parts["database"] == OK else "not known while the database is away"
    return parts


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return "does not answer; start it, or mend DATABASE_URL"
    return OK


def _worker(queue: str) -> str:
    if presence.is_present(queue):
        return OK
    return f"no worker of the queue {queue} has been heard of lately; start one with “make worker”"
