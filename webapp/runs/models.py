"""Runs: one method on one collection, from the queue to the result."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from webapp.collections.models import ClassListVersion, Collection, Image

LEASE = timedelta(seconds=45)
"""A worker that has not been heard of for this long has lost its run; heartbeats come every 10 s."""
MAX_ATTEMPTS = 3


class RunQuerySet(models.QuerySet["Run"]):
    """The questions asked of the table, and the only writes a worker may make."""

    def queued(self) -> RunQuerySet:
        """Return runs waiting for a worker, oldest first."""
        return self.filter(status=Run.Status.QUEUED).order_by("queued_at")

    def stale(self, at: datetime) -> RunQuerySet:
        """Return runs whose worker has not been heard of."""
        return self.filter(status=Run.Status.RUNNING, lease_expires_at__lt=at)

    def claim(self, pk: int, owner: str) -> str | None:
        """Take the lease of a queued run; return the fencing token, or None when it is not to be had."""
        now, token = timezone.now(), secrets.token_hex(16)
        taken = self.filter(pk=pk, status=Run.Status.QUEUED, cancel_requested=False).update(
            status=Run.Status.RUNNING, lease_owner=owner, lease_token=token, lease_expires_at=now + LEASE,
            heartbeat_at=now, attempt=F("attempt") + 1, started_at=now, stage="starting")
        return token if taken else None

    def fenced(self, pk: int, token: str) -> RunQuerySet:
        """Return the run if `token` still holds its lease: every worker write goes through this filter."""
        return self.filter(pk=pk, status=Run.Status.RUNNING, lease_token=token)


class Run(models.Model):
    """One method on one collection. The row is the truth; Celery only says "look at run 17".

    queued -> running -> succeeded | failed | cancelled
    queued -> cancelled             the web, at once: no worker is needed
    running -> cancelled            the web, where the lease has expired: nobody is there to be told
    running -> queued               the reaper, when a lease expired and attempts are left
    running -> failed | cancelled   the reaper, when none are left or cancel was asked for

    The web writes `cancel_requested` and the step from queued to cancelled; the worker that holds
    the lease writes everything else, through ``Run.objects.fenced``.
    """

    class Status(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        SUCCEEDED = "succeeded"
        FAILED = "failed"
        CANCELLED = "cancelled"

    collection = models.ForeignKey(Collection, on_delete=models.CASCADE, related_name="runs")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="runs")
    method = models.CharField(max_length=20, help_text="a key of core.catalog.METHODS")
    settings = models.JSONField(default=dict, help_text="as core.catalog.parse accepts them")
    preset = models.CharField(max_length=60, blank=True)
    class_list_version = models.ForeignKey(ClassListVersion, null=True, on_delete=models.PROTECT)
    num_classes = models.PositiveIntegerField(null=True)
    warm_up = models.ForeignKey(Collection, null=True, on_delete=models.SET_NULL, related_name="+")
    replay = models.ForeignKey(Collection, null=True, on_delete=models.SET_NULL, related_name="+")
    seed = models.PositiveIntegerField(default=0)
    baseline = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="compared_runs",
                                 help_text="the zero-shot or k-means run it is compared with")

    status = models.CharField(max_length=10, choices=Status, default=Status.QUEUED)
    cancel_requested = models.BooleanField(default=False)
    attempt = models.PositiveIntegerField(default=0)
    lease_owner = models.CharField(max_length=200, blank=True)
    lease_token = models.CharField(max_length=32, blank=True)
    lease_expires_at = models.DateTimeField(null=True)
    heartbeat_at = models.DateTimeField(null=True)

    stage = models.CharField(max_length=60, blank=True)
    step = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    images_per_second = models.FloatField(null=True)
    seconds_left = models.FloatField(null=True)
    histogram = models.JSONField(default=list, help_text="images assigned to each class so far")
    samples = models.JSONField(default=list, help_text="[[image id, class index, confidence], …] just answered")
    log = models.TextField(blank=True)

    error = models.TextField(blank=True, help_text="what went wrong and what to do, for a person")
    retryable = models.BooleanField(default=False)
    result = models.JSONField(default=dict, help_text="see workers.runs.Result: label_free_score, classes_found, …")

    created_at = models.DateTimeField(auto_now_add=True)
    queued_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True, help_text="when the reaper last told the workers of it")
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    objects = RunQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["status", "queued_at"]),  # the queue, and the reaper's look
            models.Index(fields=["collection", "-created_at"]),  # a collection's runs
        ]
        constraints = [
            models.CheckConstraint(condition=~Q(status="running") | ~Q(lease_token=""), name="running_has_a_lease"),
            models.CheckConstraint(condition=Q(status__in=["queued", "running"]) | Q(finished_at__isnull=False),
                                   name="terminal_has_an_end"),
        ]

    def __str__(self) -> str:
        return f"run {self.pk} ({self.method})"

    @property
    def is_terminal(self) -> bool:
        """Tell whether nothing more will happen to it."""
        return self.status not in (self.Status.QUEUED, self.Status.RUNNING)

    @property
    def percent(self) -> int:
        """Return 0 … 100."""
        if self.status == self.Status.SUCCEEDED:
            return 100
        return min(99, 100 * self.step // self.total) if self.total else 0

    def request_cancel(self) -> None:
        """Ask to stop. A queued run ends here, as does one whose worker is gone; a running one at its next report."""
        now, this = timezone.now(), Run.objects.filter(pk=self.pk)
        this.update(cancel_requested=True)
        this.filter(Q(status=self.Status.QUEUED) | Q(status=self.Status.RUNNING, lease_expires_at__lt=now)).update(
            status=self.Status.CANCELLED, finished_at=now, stage="", lease_token="", lease_expires_at=None)


class ProgressPoint(models.Model):
    """The named losses at one step, kept for the plot; at most about one a second."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="points")
    step = models.PositiveIntegerField()
    terms = models.JSONField()
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["step"]
        indexes = [models.Index(fields=["run", "step"])]  # the plot

    def __str__(self) -> str:
        return f"{self.run} step {self.step}"


class Prediction(models.Model):
    """What one finished run answered for one image."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="predictions")
    image = models.ForeignKey(Image, on_delete=models.CASCADE, related_name="predictions")
    class_index = models.PositiveIntegerField()
    confidence = models.FloatField(help_text="probability of the answer, 0 … 1")
    margin = models.FloatField(help_text="probability of the answer less that of the runner-up")
    top = models.JSONField(help_text="[[class index, probability], …], at most five")
    map_x = models.FloatField(default=0.0, help_text="place on the embedding map, 0 … 1")
    map_y = models.FloatField(default=0.0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "image"], name="one_prediction_an_image")]
        indexes = [models.Index(fields=["run", "class_index", "confidence"])]  # the review grid's filter and order

    def __str__(self) -> str:
        return f"{self.run}: image {self.image_id} is class {self.class_index}"


class Trial(models.Model):
    """A single image tried against a finished run's model; a worker answers.

    asked -> answered | failed
    """

    class Status(models.TextChoices):
        ASKED = "asked"
        ANSWERED = "answered"
        FAILED = "failed"

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="trials")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    file = models.CharField(max_length=200, help_text="under MEDIA_ROOT")
    status = models.CharField(max_length=10, choices=Status, default=Status.ASKED)
    top = models.JSONField(default=list, help_text="[[class index, probability], …], at most five")
    error = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True, help_text="when the reaper last told the workers of it")

    def __str__(self) -> str:
        return f"trial {self.pk} of {self.run}"


class WorkerBeat(models.Model):
    """A worker node's last sign of life; pages say "no worker is reachable" from it."""

    node = models.CharField(max_length=200, primary_key=True)
    queue = models.CharField(max_length=20)
    seen_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["queue", "-seen_at"])]  # is anyone there for this queue?

    def __str__(self) -> str:
        return f"{self.node} seen {self.seen_at:%H:%M:%S}"
