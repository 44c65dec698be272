"""Rows whose worker vanished and messages that got lost, put right every 10 seconds.

It may run in any number of processes at once: each step is one filtered update that only one of
them can win. ``python -m workers.reaper`` runs it for ever beside the worker nodes.
"""

from __future__ import annotations

import logging
import os
import time
from datetime import datetime, timedelta
from typing import Any

import django
from django.db import transaction
from django.db.models import F, Q, QuerySet, Value
from django.db.models.functions import Concat
from django.utils import timezone

from workers.app import Queue, send

REAP_EVERY_SECONDS = 10
"""With the lease of 45 s, a worker that died is noticed within 55 s."""
UNSENT_AFTER = timedelta(seconds=30)
"""A row that waits for longer than this may never have been sent."""
SEND_AGAIN_AFTER = timedelta(minutes=2)
TRIAL_LIFETIME = timedelta(minutes=10)

logger = logging.getLogger(__name__)


def reap() -> None:
    """Put right what is stale, send again what waits, and delete what has lain in the trash, or half sent, too long."""
    from webapp.collections.deletion import empty_trash, finish_deletions
    from webapp.collections.uploads import drop_forgotten
    from workers.image_cache import ImageCache

    now = timezone.now()
    end_or_requeue_stale_runs(now)
    send_waiting_rows(now)
    end_forgotten_trials(now)
    empty_trash()
    finish_deletions()
    drop_forgotten()
    if cache := ImageCache.of_this_machine():
        cache.forget_deleted()


def end_or_requeue_stale_runs(now: datetime) -> None:
    """Give runs whose lease has expired their next attempt, or their end."""
    from webapp.notices import outbox
    from webapp.runs.models import MAX_ATTEMPTS, Run
    from workers.lease import log_line
    from workers.runs import worn_out

    Run.objects.end_abandoned()
    gone = "its worker was not heard of any more"
    freed = {"lease_owner": "", "lease_expires_at": None, "stage": "", "seconds_left": None, "images_per_second": None,
             "lease_token": ""}  # nosec B105 # "" is no token at all
    for run in Run.objects.stale().only("pk", "attempt", "lease_token", "pause_requested"):
        mine = Run.objects.stale().fenced(run.pk, run.lease_token)
        if run.pause_requested:
            changed = mine.update(status=Run.Status.PAUSED, pause_requested=False, attempt=F("attempt") - 1, **freed,
                                  log=Concat(F("log"), Value(log_line(f"paused; {gone}", now))))
        elif run.attempt >= MAX_ATTEMPTS:
            with transaction.atomic():
                changed = mine.update(status=Run.Status.FAILED, finished_at=now, error=worn_out(gone), retryable=True,
                                      log=Concat(F("log"), Value(log_line(f"failed: {gone}", now))), **freed)
                if changed:
                    outbox.note_end(run.pk)
        else:
            changed = mine.update(status=Run.Status.QUEUED, queued_at=now, sent_at=now, **freed,
                                  log=Concat(F("log"), Value(log_line(f"back to the queue: {gone}", now))))
            if changed and not send("execute_run", run.pk, "gpu"):
                Run.objects.queued().filter(pk=run.pk).update(sent_at=None)
        if changed:
            logger.warning("run %s: %s", run.pk, gone, extra={"run": run.pk})


def send_waiting_rows(now: datetime) -> None:
    """Tell the workers again of rows that have waited for so long that their message may be lost."""
    from webapp.collections.models import Upload
    from webapp.notices.models import Notice
    from webapp.runs import lane, presence
    from webapp.runs.models import Run, Trial

    if presence.is_present("quick"):  # else nobody would ever take the message away
        _send_again(lane.offered(), now, ("execute_run", "gpu"), ("execute_quick_run", "quick"))
    _send_again(Run.objects.queued().filter(queued_at__lt=now - UNSENT_AFTER), now, ("execute_run", "gpu"))
    _send_again(Upload.objects.filter(status__in=[Upload.Status.RECEIVED, Upload.Status.READING],
                                      updated_at__lt=now - UNSENT_AFTER), now, ("read_upload", "cpu"))
    _send_again(Trial.objects.filter(status=Trial.Status.ASKED, created_at__lt=now - UNSENT_AFTER), now,
                ("answer_trial", "trial"))
    _send_again(Notice.objects.filter(status=Notice.Status.WAITING, due_at__lt=now), now, ("send_notice", "cpu"))


def _send_again(waiting: QuerySet[Any], now: datetime, *told: tuple[str, Queue]) -> None:
    """Send each of `waiting` that was not sent lately; stop when Redis is away, and leave those for next time.

    Args:
        waiting: rows.
        now: when this is.
        told: the tasks that are told to look at a row, each with its queue.
    """
    due = waiting.filter(Q(sent_at=None) | Q(sent_at__lt=now - SEND_AGAIN_AFTER))
    for pk in list(due.values_list("pk", flat=True)[:1000]):
        if not due.filter(pk=pk).update(sent_at=now):
            continue  # another reaper was first
        if not all(send(task, str(pk), queue) for task, queue in told):
            waiting.filter(pk=pk).update(sent_at=None)
            return


def end_forgotten_trials(now: datetime) -> None:
    """Fail images that nobody could answer, so that no page waits for ever, and remove what was sent with them."""
    from webapp.review import trying
    from webapp.runs.models import Trial

    Trial.objects.filter(status=Trial.Status.ASKED, created_at__lt=now - TRIAL_LIFETIME).update(
        status=Trial.Status.FAILED,
        error="No worker answered within ten minutes. Check that a worker runs, and try again.")
    trying.forget_failed()


def main() -> None:
    """Reap for ever; a database that is away for a moment is waited for."""
    from django.db import DatabaseError, close_old_connections

    while True:
        try:
            reap()
        except DatabaseError:
            logger.warning("the database does not answer; trying again in %s s", REAP_EVERY_SECONDS, exc_info=True)
        close_old_connections()
        time.sleep(REAP_EVERY_SECONDS)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.config.settings")
    django.setup()
    main()
