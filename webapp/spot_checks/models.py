"""Spot checks: random samples of a run's images that a person labels, so that its accuracy is measured."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from webapp.collections.models import Image
from webapp.review.models import ReviewAction
from webapp.runs.models import Run


class SpotCheck(models.Model):
    """One sample of a run's images. Its answers measure the run; they change no label unless a person adopts them.

    The newest of a run that is answered to the end stands.
    """

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="spot_checks")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    design = models.CharField(max_length=10, help_text="one of core.evaluation.spot_check.DESIGNS")
    seed = models.PositiveBigIntegerField(help_text="fixes the sample, given the run's answers")
    adopted = models.ForeignKey(ReviewAction, null=True, on_delete=models.SET_NULL, related_name="+",
                                help_text="the corrections that its answers became, if a person said so")
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"spot check {self.pk} of {self.run}"


class SampledImage(models.Model):
    """An image of a sample and what the person says it is.

    open -> named | none | unsure, and back by undo

    What counts is the name that was given: a cluster may be called otherwise since.
    """

    class Verdict(models.TextChoices):
        OPEN = "open"
        NAMED = "named"
        NONE = "none", "none of the classes"  # counts as wrong: the model always names one
        UNSURE = "unsure", "cannot tell"  # counts for nothing

    spot_check = models.ForeignKey(SpotCheck, on_delete=models.CASCADE, related_name="sampled")
    image = models.ForeignKey(Image, on_delete=models.CASCADE, related_name="+")
    place = models.PositiveIntegerField(help_text="in the order of asking, which is random")
    verdict = models.CharField(max_length=6, choices=Verdict, default=Verdict.OPEN)
    class_index = models.PositiveIntegerField(null=True, help_text="the class that a person named")
    class_name = models.CharField(max_length=200, default="", help_text="what it was called when the person named it")

    class Meta:
        ordering = ["place"]
        constraints = [
            models.UniqueConstraint(fields=["spot_check", "place"], name="one_image_a_place"),
            models.CheckConstraint(name="a_class_where_one_is_named", condition=(
                models.Q(verdict="named", class_index__isnull=False) & ~models.Q(class_name="")
                | ~models.Q(verdict="named") & models.Q(class_index__isnull=True, class_name=""))),
        ]

    def __str__(self) -> str:
        return f"{self.spot_check}: image {self.image_id} is {self.get_verdict_display()}"
