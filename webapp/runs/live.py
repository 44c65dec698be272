"""What the page of a run that is not over yet shows: its place in the queue, who works, what was just answered."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Q
from django.utils import timezone

from core.catalog import taught_by_labels
from core.evaluation import guard
from webapp.collections.models import Image
from webapp.review.names import class_names, name_at
from webapp.runs import lane
from webapp.runs.models import Run
from webapp.runs.presence import is_present, last_seen
from webapp.runs.words import span

SHOWN_SAMPLES = 12
SETTLED = 0.1
"""Share of a run's steps before which an encoder is not judged."""
SILENT_SECONDS = 20
"""A running worker writes at least every 10 s; after this much silence the page says so."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A picture that was just answered."""

    image_id: int
    path: str
    name: str
    percent: int


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a queued run stands: runs ahead of it, of everybody.

    Attributes:
        waiting_ahead, running: of those that it has to wait for.
        in_lane: whether these are only the runs of seconds, for the quick lane is there (`webapp.runs.lane`).
    """

    waiting_ahead: int
    running: int
    in_lane: bool = False

    def __str__(self) -> str:
        passes = " It takes seconds, so it does not wait for the long ones." if self.in_lane else ""
        if not self.waiting_ahead and not self.running:
            return f"Next in line.{passes}"
        counts = {"running": self.running, "waiting": self.waiting_ahead}
        parts = [f"{count} {word}" for word, count in counts.items() if count]
        return f"Number {self.waiting_ahead + 1} in the queue; ahead of it: {' and '.join(parts)}.{passes}"


def place(run: Run) -> Place | None:
    """Return the run's place in the queue; None once it has left it."""
    if run.status != Run.Status.QUEUED:
        return None
    earlier = Q(queued_at__lt=run.queued_at) | Q(queued_at=run.queued_at, pk__lt=run.pk)
    ahead = Q(priority__gt=run.priority) | Q(priority=run.priority) & earlier
    waiting, running = Run.objects.queued().filter(ahead), Run.objects.filter(status=Run.Status.RUNNING)
    if lane.is_for(run):
        return Place(waiting_ahead=len(lane.quick(waiting)), running=len(lane.quick(running)), in_lane=True)
    return Place(waiting_ahead=waiting.count(), running=running.count())


def worker_notice(run: Run) -> str:
    """Return what is wrong with the workers, with the fix; "" when all is well or the run is over."""
    if run.status == Run.Status.RUNNING and run.heartbeat_at is not None:
        silent_seconds = (timezone.now() - run.heartbeat_at).total_seconds()
        if silent_seconds < SILENT_SECONDS:
            return ""
        return (f"The worker has not been heard of for {span(silent_seconds)}. If it is gone, the run goes back to "
                "the queue by itself and continues from its last checkpoint.")
    if run.status != Run.Status.QUEUED or is_present("gpu") or lane.is_for(run):
        return ""
    seen = last_seen("gpu")
    since = f"for {span((timezone.now() - seen).total_seconds())}" if seen else "yet"
    return f"No worker has been heard of {since}. Start one with “make worker”; this run then begins by itself."


def alarm(run: Run) -> str:
    """Return what looks like the beginning of a collapse: in the answers so far, or in what an encoder makes of images.

    Answers count once half of the images have one. Of a run that learns from a person's labels, lost classes alone:
    answers as uneven as the person's are no collapse. An encoder counts after a tenth of its steps: some begin so.
    """
    if run.status != Run.Status.RUNNING:
        return ""
    if not run.histogram:
        return _alarm_of_encoder(run)
    before = (run.baseline.result.get("histogram") or []) if run.baseline else []
    if not before or sum(run.histogram) < sum(before) / 2:
        return ""
    if not taught_by_labels(run.method, run.settings):
        return guard.crowding(run.histogram, before)
    lost = guard.objection(run.histogram, before, taught=True)
    return lost.reason if lost else ""


def _alarm_of_encoder(run: Run) -> str:
    """Return that what a run that answers nothing yet makes of different images all but coincides, or ""."""
    if run.step < SETTLED * run.total:
        return ""
    newest = run.points.order_by("-pk").values_list("terms", flat=True).first() or {}
    return guard.coinciding(newest.get("spread"))


def samples(run: Run) -> list[Sample]:
    """Return the pictures whose answer has just been given, newest last."""
    latest = [one for one in run.samples if len(one) == 3][-SHOWN_SAMPLES:]
    images = Image.objects.filter(collection=run.collection_id).in_bulk([one[0] for one in latest])
    names = class_names(run)
    return [Sample(image_id=image_id, path=images[image_id].path, percent=round(100 * confidence),
                   name=name_at(names, index))
            for image_id, index, confidence in latest if image_id in images]

