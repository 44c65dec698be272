"""Runs: one method on one collection, from the queue to the result."""

from __future__ import annotations

from django.conf import settings
from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone

from core.catalog import answers_in_groups
from webapp.collections.models import ClassListVersion, Collection, Image
from webapp.runs.querysets import LEASE, SILENCE, RunManager, RunQuerySet

__all__ = ["ENDS", "LEASE", "LIVE", "MAX_ATTEMPTS", "MAX_HALVINGS", "SILENCE", "Prediction", "ProgressPoint", "Run",
           "RunQuerySet", "Trial", "WorkerBeat"]

MAX_ATTEMPTS = 3
MAX_HALVINGS = 4
"""How often a run whose memory ran out goes on with half as many images held at once, before it fails."""
LIVE = ("queued", "running", "paused")
ENDS = ("succeeded", "failed", "cancelled")
"""The states that nothing follows, unless a person resumes what failed."""


class Run(models.Model):
    """One method on one collection. The row is the truth; Celery only says "look at run 17".

              claim                 the holder of the lease
      queued -------> running ---------------------------> succeeded | failed | cancelled
       |  ^  ^         | | |
       |  |  +---------+ | |  the worker gives it back, or the reaper: the lease expired, attempts are left
       |  |              | |
       +--|---> paused <-+ |  the web while it waits; while it runs the worker, at its next checkpoint
       |  +-------+ |      |  the web: resumed, as what failed and may now work is from there too
       v            v      |
       cancelled <---------+  the web or the reaper, where the worker that was to be told is silent
       failed <------------+  the reaper, when no attempts are left

    The web writes `cancel_requested`, `pause_requested` and the steps from queued and paused; the worker
    that holds the lease writes everything else, through ``Run.objects.fenced``. What each state must
    have is a constraint below: a row that claims to be in a state without it is refused by the
    database, whoever writes it. What has ended may be in the trash (`webapp.runs.deletion`).
    """

    class Status(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        PAUSED = "paused"
        SUCCEEDED = "succeeded"
        FAILED = "failed"
        CANCELLED = "cancelled"

    class Priority(models.IntegerChoices):
        LOW = -1
        NORMAL = 0
        HIGH = 1

    collection = models.ForeignKey(Collection, on_delete=models.CASCADE, related_name="runs")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="runs")
    method = models.CharField(max_length=20, help_text="a key of core.catalog.METHODS")
    settings = models.JSONField(default=dict, help_text="as core.catalog.parse accepts them")
    preset = models.CharField(max_length=60, blank=True)
    class_list_version = models.ForeignKey(ClassListVersion, null=True, on_delete=models.PROTECT)
    num_classes = models.PositiveIntegerField(null=True)
    # What a run uses and is deleted meanwhile is to be missed, not forgotten: see `webapp.runs.further`.
    warm_up = models.ForeignKey(Collection, null=True, related_name="+", on_delete=models.DO_NOTHING,
                                db_constraint=False)
    replay = models.ForeignKey(Collection, null=True, related_name="+", on_delete=models.DO_NOTHING,
                               db_constraint=False)
    also = models.JSONField(default=list, help_text="ids of the further collections it adapts to")
    start_from = models.ForeignKey("self", null=True, related_name="+", on_delete=models.DO_NOTHING,
                                   db_constraint=False, help_text="the finished run with whose encoder it begins")
    seed = models.PositiveIntegerField(default=0)
    baseline = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="compared_runs",
                                 help_text="the zero-shot or k-means run it is compared with")

    status = models.CharField(max_length=10, choices=Status, default=Status.QUEUED)
    priority = models.SmallIntegerField(choices=Priority, default=Priority.NORMAL)
    cancel_requested = models.BooleanField(default=False)
    pause_requested = models.BooleanField(default=False)
    attempt = models.PositiveIntegerField(default=0)
    memory_halvings = models.PositiveSmallIntegerField(default=0, help_text="how often its memory ran out")
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

    trashed_at = models.DateTimeField(null=True, help_text="when it was deleted; restored by emptying this")
    stored_bytes = models.BigIntegerField(default=0, help_text="of its folder, when that was last measured")
    is_measured = models.BooleanField(default=False, help_text="whether that was after its folder's last change")

    objects = RunManager()
    everything = RunQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["status", "-priority", "queued_at"]),  # the queue, and the reaper's look
            models.Index(fields=["collection", "-created_at"]),  # a collection's runs
        ]
        constraints = [
            models.CheckConstraint(name="run_state_is_known", condition=Q(status__in=[*LIVE, *ENDS])),
            models.CheckConstraint(
                name="only_running_has_a_lease",
                # "" is no token at all, so it is no password in the source either
                condition=Q(status="running", lease_expires_at__isnull=False) & ~Q(lease_token="")  # nosec B106
                | ~Q(status="running") & Q(lease_token="")),  # nosec B106
            models.CheckConstraint(
                name="only_terminal_has_an_end",
                condition=Q(status__in=ENDS, finished_at__isnull=False)
                | ~Q(status__in=ENDS) & Q(finished_at__isnull=True)),
            models.CheckConstraint(name="only_terminal_is_in_the_trash",
                                   condition=Q(trashed_at__isnull=True) | Q(status__in=ENDS)),
            models.CheckConstraint(name="run_priority_is_known", condition=Q(priority__gte=-1, priority__lte=1)),
            models.CheckConstraint(name="memory_halvings_are_bounded", condition=Q(memory_halvings__lte=MAX_HALVINGS)),
            models.CheckConstraint(name="failed_says_why", condition=~Q(status="failed") | ~Q(error="")),
            models.CheckConstraint(
                name="attempts_are_bounded",
                condition=Q(attempt__lt=MAX_ATTEMPTS)
                | ~Q(status__in=["queued", "paused"]) & Q(attempt=MAX_ATTEMPTS)),
        ]

    def __str__(self) -> str:
        return f"run {self.pk} ({self.method})"

    @property
    def is_terminal(self) -> bool:
        """Tell whether nothing more will happen to it."""
        return self.status in ENDS

    @property
    def answers_in_groups(self) -> bool:
        """Tell whether its classes are groups, whatever they are called; see the function of that name."""
        return answers_in_groups(self.method, self.settings)

    @property
    def percent(self) -> int:
        """Return 0 … 100."""
        if self.status == self.Status.SUCCEEDED:
            return 100
        return min(99, 100 * self.step // self.total) if self.total else 0

    def request_cancel(self) -> None:
        """Ask to stop. A run that no worker has ends here; a running one at its next report."""
        this = Run.objects.filter(pk=self.pk, status__in=LIVE)
        with transaction.atomic():  # or whoever dies in between leaves a run that nobody may take nor stop
            this.update(cancel_requested=True)
            this.end_abandoned()

    def end_if_abandoned(self) -> None:
        """End a run that is to be cancelled where its worker has died since: who looks at it need not wait for more.

        The reaper does the same; but it lives on the worker's machine, and may have died with it.
        """
        if self.cancel_requested and not self.is_terminal and Run.objects.filter(pk=self.pk).end_abandoned():
            self.refresh_from_db()

    def request_pause(self) -> None:
        """Ask to stop for now. A queued run pauses here, a running one at its next checkpoint."""
        this = Run.objects.filter(pk=self.pk)
        this.filter(status__in=[self.Status.QUEUED, self.Status.RUNNING]).update(pause_requested=True)
        this.filter(status=self.Status.QUEUED, pause_requested=True).update(
            status=self.Status.PAUSED, pause_requested=False)

    def resume(self) -> bool:
        """Put a run back on the queue, where it goes on from its checkpoint; return whether it could be.

        A paused run can, with the attempts it has left, and one that failed of what may have been mended since
        (a full disk, a worker that was lost), with all of them.
        """
        queued = {"status": self.Status.QUEUED, "queued_at": timezone.now(), "sent_at": None,
                  "cancel_requested": False, "is_measured": False}
        this = Run.objects.filter(pk=self.pk)
        return bool(this.filter(status=self.Status.PAUSED).update(**queued, pause_requested=False)
                    or this.filter(status=self.Status.FAILED, retryable=True).update(
                        **queued, finished_at=None, error="", retryable=False, attempt=0))


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
    telling = models.PositiveSmallIntegerField(null=True, help_text="its place among the images to name first, from 0; "
                                                                    "null for all others")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "image"], name="one_prediction_an_image")]
        indexes = [models.Index(fields=["run", "class_index", "confidence"]),  # the review grid's filter and order
                   models.Index(fields=["run", "confidence", "id"])]  # and its order without a filter

    def __str__(self) -> str:
        return f"{self.run}: image {self.image_id} is class {self.class_index}"


class Trial(models.Model):
    """A single image tried against a finished run's model; a worker answers.

    asked -> answered | failed. `file` is what was sent while asked, a thumbnail once answered, "" once failed.
    """

    class Status(models.TextChoices):
        ASKED = "asked"
        ANSWERED = "answered"
        FAILED = "failed"

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="trials")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    name = models.CharField(max_length=200, default="picture", help_text="what the person's file is called")
    file = models.CharField(max_length=200, blank=True, help_text="under MEDIA_ROOT")
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
    on_gpu = models.BooleanField(default=False)
    seen_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["queue", "-seen_at"])]  # is anyone there for this queue?

    def __str__(self) -> str:
        return f"{self.node} seen {self.seen_at:%H:%M:%S}"
