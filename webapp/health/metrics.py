"""What Prometheus is told: counted from rows when it asks, so that every process and every restart says the same."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.db.models import Avg, Count, F
from django.utils import timezone
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from webapp.collections.models import Image, Refusal, Upload
from webapp.health.readiness import QUEUES
from webapp.runs import presence
from webapp.runs.models import Run

LATELY = timedelta(hours=24)
Family = GaugeMetricFamily


class Rows(Collector):
    """The figures of this installation, read from its database."""

    def collect(self) -> Iterator[Family]:
        """Yield each figure; all are gauges, since deleted collections take their rows with them."""
        yield _by("labelfree_runs", "Runs by state", "status", dict(
            Run.objects.order_by().values_list("status").annotate(Count("pk"))), Run.Status.values)
        oldest = Run.objects.queued().order_by("queued_at").values_list("queued_at", flat=True).first()
        yield Family("labelfree_queue_oldest_seconds", "How long the run that waits longest has waited; 0 without one",
                     value=(timezone.now() - oldest).total_seconds() if oldest else 0.0)
        yield self._run_seconds()
        yield _by("labelfree_uploads", "Uploads by state", "status", dict(
            Upload.objects.order_by().values_list("status").annotate(Count("pk"))), Upload.Status.values)
        yield Family("labelfree_images", "Images kept", value=Image.objects.count())
        yield Family("labelfree_refusals", "Files that were refused", value=Refusal.objects.count())
        yield _by("labelfree_worker_present", "Whether a worker of the queue was heard of lately", "queue",
                  {queue: int(presence.is_present(queue)) for queue in QUEUES}, list(QUEUES))

    def _run_seconds(self) -> Family:
        """Return how long the runs that succeeded of late took, from their last start, by method."""
        family = Family("labelfree_run_seconds_mean", "Mean duration of runs that succeeded in the last 24 hours",
                        labels=["method"])
        took = Run.objects.filter(status=Run.Status.SUCCEEDED, finished_at__gt=timezone.now() - LATELY).order_by()
        for method, mean in took.values("method").annotate(
                mean=Avg(F("finished_at") - F("started_at"))).values_list("method", "mean"):
            if mean is not None:
                family.add_metric([method], mean.total_seconds())
        return family


def _by(name: str, words: str, label: str, counts: dict[str, int], known: list[str]) -> Family:
    """Return one figure with a value for every one of `known`, zeros included."""
    family = Family(name, words, labels=[label])
    for one in known:
        family.add_metric([one], counts.get(one, 0))
    return family


def exposition() -> bytes:
    """Return every figure in Prometheus's text format."""
    registry = CollectorRegistry()
    registry.register(Rows())
    return generate_latest(registry)
