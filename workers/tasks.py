"""The tasks, each "look at this row": they take a key, read the row anew, and may come twice."""

from __future__ import annotations

import os
import threading
from typing import Any

import django
from celery.signals import heartbeat_sent, worker_shutting_down

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.config.settings")
django.setup()

from webapp.collections import ingest  # noqa: E402
from webapp.collections.models import Upload  # noqa: E402
from webapp.runs import presence  # noqa: E402
from workers import reaper, runs  # noqa: E402
from workers.app import app  # noqa: E402
from workers.spawn import Clock  # noqa: E402

__all__ = ["app"]

STOPPING = threading.Event()
"""Set once, when this node is told to stop."""
_BEAT = Clock(presence.BEAT_EVERY.total_seconds())


@app.task(name="workers.tasks.execute_run")
def execute_run(run_id: int) -> None:
    """Do one attempt of a run."""
    runs.execute(int(run_id), STOPPING)


@app.task(name="workers.tasks.read_upload")
def read_upload(upload_id: str) -> None:
    """Make images of what an upload brought; one that is being read or done is left alone."""
    upload = Upload.objects.filter(pk=upload_id).first()
    if upload is not None:
        ingest.read_upload(upload)


@app.task(name="workers.tasks.answer_trial")
def answer_trial(trial_id: int) -> None:
    """Answer one image with a finished run's model."""
    from workers import trials  # loads torch, which the node of the runs never needs

    trials.answer(int(trial_id))


@app.task(name="workers.tasks.reap")
def reap(_: object = None) -> None:
    """Return to the queue what lost its worker, and send again what got lost."""
    reaper.reap()


@worker_shutting_down.connect
def stop_runs(**_: Any) -> None:
    """Let a running run go back to the queue when the node is told to stop."""
    STOPPING.set()


@heartbeat_sent.connect
def leave_sign_of_life(sender: Any, **_: Any) -> None:
    """Note in the database that this node is there and hears its broker; named ``queue.number@host``."""
    if _BEAT.is_due():
        node = str(sender.eventer.hostname)
        presence.beat(node, node.split(".")[0])
