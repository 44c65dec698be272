"""What people said of a run's answers: actions that can be undone, made of corrections."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from webapp.collections.models import Image
from webapp.runs.models import Run


class ReviewAction(models.Model):
    """One thing a person did, on one image or many; undone as a whole."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="review_actions")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    description = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)
    undone_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.description


class Correction(models.Model):
    """A person's answer for one image: a confirmation where it equals the model's, else a correction.

    The newest correction of an action that is not undone stands.
    """

    action = models.ForeignKey(ReviewAction, on_delete=models.CASCADE, related_name="corrections")
    image = models.ForeignKey(Image, on_delete=models.CASCADE, related_name="corrections")
    class_index = models.PositiveIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["action", "image"], name="one_correction_an_action_and_image")]
        indexes = [models.Index(fields=["image", "-action"])]  # the standing answer of an image

    def __str__(self) -> str:
        return f"image {self.image_id} is class {self.class_index}"


class ClusterName(models.Model):
    """A person's name for a cluster of a run that had no class names; the newest stands."""

    action = models.ForeignKey(ReviewAction, on_delete=models.CASCADE, related_name="cluster_names")
    class_index = models.PositiveIntegerField()
    name = models.CharField(max_length=200)

    def __str__(self) -> str:
        return self.name
