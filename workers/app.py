"""The Celery application and the one way to put a message on a queue. Knows nobody: environment only.

A message says "look at run 17" and nothing else. It may come twice, late or never: the row decides,
and the reaper sends again what got lost.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from celery import Celery
from kombu import Connection
from kombu.exceptions import OperationalError
from kombu.utils.url import maybe_sanitize_url

Queue = Literal["cpu", "gpu", "quick", "trial"]

CONNECT_TIMEOUT_SECONDS = 1.0
"""A page must never hang because Redis is away."""
VISIBILITY_TIMEOUT_SECONDS = int(os.environ.get("LABELFREE_REDELIVER_SECONDS") or 86_400)
"""Redis hands an unacknowledged message out again after this long; a shorter one sends for a long run in vain."""


def home() -> Path:
    """Return the folder that holds everything (``LABELFREE_HOME``, by default ``var`` beside the code), absolute."""
    return Path(os.environ.get("LABELFREE_HOME") or Path(__file__).resolve().parents[1] / "var").resolve()


def broker_url() -> str:
    """Return Redis's address: ``REDIS_URL``, else the unix socket in `home`."""
    url = os.environ.get("REDIS_URL", "")
    if url.startswith("unix://"):
        return "redis+socket://" + url.removeprefix("unix://")
    return url or f"redis+socket://{home() / 'redis.sock'}"


def broker_address() -> str:
    """Return Redis's address for showing: without its password."""
    return str(maybe_sanitize_url(broker_url()))


def _application() -> Celery:
    """Return the Celery application; see `VISIBILITY_TIMEOUT_SECONDS` for the one setting that bites."""
    application = Celery("labelfree", broker=broker_url(), include=["workers.tasks"])
    application.conf.update(
        task_acks_late=True, task_reject_on_worker_lost=True, task_ignore_result=True,
        worker_prefetch_multiplier=1, worker_hijack_root_logger=False, worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True, broker_connection_max_retries=None,
        broker_transport_options={
            "visibility_timeout": VISIBILITY_TIMEOUT_SECONDS, "socket_connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "socket_timeout": 30, "socket_keepalive": True, "health_check_interval": 10},
        task_default_queue="cpu", task_always_eager=False)
    return application


app = _application()


def broker_answers() -> bool:
    """Tell whether Redis answers, within about a second."""
    try:
        with _connection() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0)
    except (OperationalError, OSError):
        return False
    return True


def _connection() -> Connection:
    """Return a connection that gives up within about a second."""
    options = {**app.conf.broker_transport_options, "socket_timeout": CONNECT_TIMEOUT_SECONDS, "max_retries": 1,
               "interval_start": 0, "interval_max": 0}
    return app.connection_for_write(transport_options=options, connect_timeout=CONNECT_TIMEOUT_SECONDS)


def send(task: str, pk: int | str, queue: Queue) -> bool:
    """Put "look at `pk`" on `queue`; return whether Redis took it.

    Never raises and never waits longer than about a second: the row is the truth, and the reaper
    sends again what did not arrive.

    Args:
        task: the name of a task of `workers.tasks`, with or without that prefix.
        pk: the row's key.
        queue: "gpu" for what adapts a model, "quick" for what the quick lane is offered of it, "trial" for a single
            image that a person waits for, "cpu" for the rest.
    """
    name = task if "." in task else f"workers.tasks.{task}"
    try:
        with _connection() as connection:
            app.send_task(name, args=[pk], queue=queue, connection=connection, retry=False)
    except (OperationalError, OSError):
        return False
    return True
