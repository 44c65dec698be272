"""What runs hold on disk: their folders and their collections' stored features, written into rows.

Workers write them. The reaper measures them here while they change and once after that; no page waits for a disk.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from core.catalog import BACKBONES
from webapp.collections.models import Collection
from webapp.runs.models import ENDS, LIVE, Run

SETTLED = timedelta(minutes=2)
"""So long after a run has ended its process has tidied up: nothing in its folder changes any more."""
MEASURED_AT_ONCE = 200
PARAMETER_BYTES = 4


def package_bytes(foundations: Iterable[str]) -> int:
    """Return about how much the model package of a run will hold: the weights of its foundation models."""
    return round(sum(BACKBONES[name].parameters_millions for name in foundations) * 1e6 * PARAMETER_BYTES)


def measure() -> None:
    """Measure the runs that have begun and are not over, and those that ended and were not measured since."""
    unmeasured = Run.everything.filter(is_measured=False)
    begun = unmeasured.filter(status__in=LIVE, started_at__isnull=False)
    ended = unmeasured.filter(status__in=ENDS).order_by("-pk")[:MEASURED_AT_ONCE]
    found = [run for some in (begun, ended) for run in some.only(
        "collection_id", "status", "finished_at", "stored_bytes", "is_measured")]
    for run in found:
        _measure_run(run)
    for collection in Collection.objects.filter(pk__in={run.collection_id for run in found}).only("features_bytes"):
        size_bytes = size_of(features_folder(collection.pk))
        if size_bytes != collection.features_bytes:
            Collection.objects.filter(pk=collection.pk).update(features_bytes=size_bytes)


def _measure_run(run: Run) -> None:
    has_settled = run.is_terminal and run.finished_at < timezone.now() - SETTLED
    size_bytes = size_of(settings.RUNS_ROOT / str(run.pk))
    if (size_bytes, has_settled) != (run.stored_bytes, run.is_measured):  # else nothing is written: it comes every 10 s
        same = Run.everything.filter(pk=run.pk, status=run.status)  # it may go on meanwhile
        same.update(stored_bytes=size_bytes, is_measured=has_settled)


def features_folder(collection_id: int) -> Path:
    """Return where the runs of a collection share the features they have found."""
    return Path(settings.CACHE_ROOT) / "features" / str(collection_id)


def size_of(folder: Path) -> int:
    """Return the bytes of the files in a folder, 0 where there is none; what it links to is not in it."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # it went a moment ago
                total += Path(place, name).lstat().st_size
    return total
