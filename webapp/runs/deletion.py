"""Deleting a run: into the trash at once, out of it for thirty days, then for good.

In the trash it is nowhere (`webapp.runs.querysets.RunManager`): no list, comparison, recommendation, page or program
finds it, and the labels that people gave in its review teach nobody. What needs it decides whether it may go:

- A run that is compared with it keeps its baseline: without it the page could not say any more that a result is worse
  than what zero-shot or k-means gave for nothing, nor what is estimated of it. So the baseline goes after it, and comes
  back with it.
- A run that begins with its encoder and is not over would fail at its next attempt. So it is waited for, or cancelled.
- One of those that is over has its own model: it misses what it began with, by number (`webapp.runs.further`).
"""

from __future__ import annotations

import shutil

from django.conf import settings
from django.db import transaction
from django.db.models import Count
from django.utils import timezone

from core.errors import DataError
from webapp.collections.models import TRASH_LIFETIME, Collection
from webapp.review.models import Correction
from webapp.runs.models import LIVE, Run
from webapp.runs.querysets import RunQuerySet
from webapp.runs.room import features_folder
from webapp.runs.words import title_of

DELETED_AT_ONCE = 50


def trashed_runs() -> RunQuerySet:
    """Return the runs in the trash whose time is not over."""
    return Run.everything.filter(trashed_at__gt=timezone.now() - TRASH_LIFETIME).select_related("collection")


def obstacle(run: Run) -> str:
    """Return why a run may not be put into the trash, with what to do; "" where it may."""
    if not run.is_terminal:
        return f"is {run.status}; cancel it first"
    if compared := run.compared_runs.order_by("pk").first():
        return f"is what {title_of(compared.method)} run {compared.pk} is compared with; delete that one first"
    if begun := Run.objects.filter(start_from=run, status__in=LIVE).order_by("pk").first():
        other = f"run {begun.pk}" if begun.collection_id == run.collection_id else "a run of another collection"
        return f"is what {other} begins with, which is not over; delete it once that has ended, or cancel that one"
    return ""


def count_labelled(run: Run) -> int:
    """Return how many images have a label by a person's word in the run's review: it goes with the run."""
    said = Correction.objects.filter(action__run=run, action__undone_at=None)
    return said.aggregate(images=Count("image", distinct=True))["images"]


def trash_run(run: Run) -> None:
    """Put a run that has ended into the trash.

    Raises:
        DataError: while it is not over, or another run needs it.
    """
    with transaction.atomic():
        locked = Run.objects.select_for_update().filter(pk=run.pk).first()  # nobody begins to need it meanwhile
        if locked is None:
            return  # somebody else was first
        if reason := obstacle(locked):
            raise DataError(f"run {run.pk}", reason)
        locked.trashed_at = timezone.now()
        locked.save(update_fields=["trashed_at"])


def restore_run(run: Run) -> bool:
    """Take a run out of the trash, with the baseline it is compared with; return whether its time was not over yet."""
    with transaction.atomic():
        could = trashed_runs().filter(pk=run.pk).update(trashed_at=None)
        if could:
            trashed_runs().filter(pk=run.baseline_id).update(trashed_at=None)
    return bool(could)


def delete_run(run: Run) -> None:
    """Delete a run that is in the trash for good, with everything that hangs on it.

    The row says first that its time is over, for then nobody can restore what has lost its files. It goes last: should
    this process end before, `empty_trash` finds it and begins anew.

    Raises:
        DataError: while another run, in the trash too, is compared with it.
    """
    if compared := Run.everything.filter(baseline=run).order_by("pk").first():
        raise DataError(f"run {run.pk}", f"is what run {compared.pk} is compared with; delete that one for good first")
    trashed_runs().filter(pk=run.pk).update(trashed_at=timezone.now() - TRASH_LIFETIME)
    _remove(run)


def empty_trash() -> int:
    """Delete for good what has lain in the trash for thirty days, the first in it first; return how many runs."""
    old = Run.everything.filter(trashed_at__lte=timezone.now() - TRASH_LIFETIME).order_by("trashed_at")
    found = list(old.only("collection_id")[:DELETED_AT_ONCE])
    for run in found:
        _remove(run)
    return len(found)


def _remove(run: Run) -> None:
    """Remove a run's files and its row; with a collection's last run go the features that runs have stored for it."""
    shutil.rmtree(settings.RUNS_ROOT / str(run.pk), ignore_errors=True)
    shutil.rmtree(settings.MEDIA_ROOT / "trials" / str(run.pk), ignore_errors=True)
    Run.everything.filter(pk=run.pk).delete()
    if not Run.everything.filter(collection=run.collection_id).exists():
        shutil.rmtree(features_folder(run.collection_id), ignore_errors=True)
        Collection.objects.filter(pk=run.collection_id).update(features_bytes=0)
