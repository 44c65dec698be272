"""The tasks, each "look at this row": they take a key, read the row anew, and may come twice."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, TypeVar, cast

import django
from celery.signals import heartbeat_sent, worker_process_init, worker_shutdown, worker_shutting_down

from workers.nodes import devices

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.config.settings")
django.setup()

from django.db import close_old_connections  # noqa: E402

from webapp.collections import ingest  # noqa: E402
from webapp.collections.models import Upload  # noqa: E402
from webapp.notices import outbox  # noqa: E402
from webapp.runs import presence  # noqa: E402
from workers import reaper, runs  # noqa: E402
from workers.app import app  # noqa: E402
from workers.priority import give_way  # noqa: E402
from workers.spawn import Clock  # noqa: E402

__all__ = ["app"]

Function = TypeVar("Function", bound=Callable[..., None])

STOPPING = threading.Event()
"""Set once, when this node is told to stop."""
BEAT = Clock(presence.BEAT_EVERY.total_seconds())


def _task(name: str) -> Callable[[Function], Function]:
    """Register a function under the name that `workers.app.send` uses."""
    return cast("Callable[[Function], Function]", app.task(name=f"workers.tasks.{name}"))


@_task("execute_run")
def execute_run(run_id: int) -> None:
    """Do one attempt of the run that is first in line: this one, unless another has come before it."""
    runs.execute(int(run_id), STOPPING)


@_task("execute_quick_run")
def execute_quick_run(run_id: int) -> None:
    """Do, in the quick lane, one attempt of the run that is first of those offered to it."""
    runs.execute(int(run_id), STOPPING, in_lane=True)


@_task("read_upload")
def read_upload(upload_id: str) -> None:
    """Make images of what an upload brought; one that is being read or done is left alone."""
    upload = Upload.objects.filter(pk=upload_id).first()
    if upload is not None:
        ingest.read_upload(upload)


@_task("answer_trial")
def answer_trial(trial_id: int) -> None:
    """Answer one image with a finished run's model."""
    from workers import trials  # loads torch, which the node of the runs never needs

    trials.answer(int(trial_id))


@_task("send_notice")
def send_notice(notice_id: int) -> None:
    """Tell a person that a run has ended."""
    outbox.deliver(int(notice_id))


@_task("reap")
def reap(_: object = None) -> None:
    """Return to the queue what lost its worker, and send again what got lost."""
    reaper.reap()


def _stop_runs(**_: Any) -> None:
    """Let a running run go back to the queue when the node is told to stop."""
    STOPPING.set()


def _give_way(**_: Any) -> None:
    """Let who looks at a page go before what reads images."""
    give_way()


def _leave_sign_of_life(sender: Any, **_: Any) -> None:
    """Note in the database that this node is there and hears its broker; it is named ``queue.number.process@host``."""
    if BEAT.is_due():
        close_old_connections()
        node = str(sender.eventer.hostname)
        queue = node.split(".")[0]
        presence.beat(node, queue, on_gpu=queue == "gpu" and devices() != [None])


def _say_goodbye(sender: Any, **_: Any) -> None:
    """Note that this node has stopped."""
    presence.leave(str(sender.hostname))


worker_process_init.connect(_give_way)
worker_shutting_down.connect(_stop_runs)
heartbeat_sent.connect(_leave_sign_of_life)
worker_shutdown.connect(_say_goodbye)
