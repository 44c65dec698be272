"""Collections of images, the uploads they came by, and the class lists asked of them."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import models, transaction

TRASH_LIFETIME = timedelta(days=30)
"""Of collections and runs: for so long what was deleted can be restored."""


class ClassList(models.Model):
    """A named list of class names, reused across collections; its content is in its versions."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="class_lists")
    name = models.CharField(max_length=120)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["owner", "name"], name="class_list_name_once_an_owner")]

    def __str__(self) -> str:
        return self.name

    @property
    def latest(self) -> ClassListVersion:
        """Return the newest version; a list always has one."""
        return self.versions.latest("number")


class ClassListVersion(models.Model):
    """One edit of a class list; never changed, so that a run's question stays what it was."""

    class_list = models.ForeignKey(ClassList, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    names = models.JSONField(help_text="class names, in order")
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["class_list", "number"], name="class_list_version_once")]

    def __str__(self) -> str:
        return f"{self.class_list} v{self.number}"


class Collection(models.Model):
    """Someone's photographs and the question asked of them.

    The question is a class list version, or a number of classes, or neither ("don't know"). It is kept in
    the `owner`'s name; what anybody may do with it, the owner too, is in the memberships (`webapp.sharing`).
    """

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="collections")
    name = models.CharField(max_length=200)
    class_list_version = models.ForeignKey(ClassListVersion, null=True, blank=True, on_delete=models.PROTECT)
    num_classes = models.PositiveIntegerField(null=True, blank=True)
    mirror = models.BooleanField(default=True, help_text="mirror images mean the same")
    trashed_at = models.DateTimeField(null=True, blank=True, help_text="when it was deleted; restored by emptying this")
    created_at = models.DateTimeField(auto_now_add=True)
    images_bytes = models.BigIntegerField(default=0, help_text="sum of its images' stored_bytes: with a quota it is "
                                                               "asked for each file that comes")
    features_bytes = models.BigIntegerField(default=0, help_text="of the features that its runs share; measured")

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Store it; a new one is its maker's, as owner, from the first moment."""
        with transaction.atomic():
            is_new = self._state.adding
            super().save(*args, **kwargs)
            if is_new:
                self.memberships.create(user_id=self.owner_id, role="owner")


class Upload(models.Model):
    """One file on its way in (an image or an archive), sent in chunks by tus 1.0.

    receiving -> received -> reading -> done | refused. The web writes up to received, the worker
    the rest. `received_bytes` is what is safely on disk; a client continues from there.
    """

    class Status(models.TextChoices):
        RECEIVING = "receiving"
        RECEIVED = "received"
        READING = "reading"
        DONE = "done"
        REFUSED = "refused"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    collection = models.ForeignKey(Collection, on_delete=models.CASCADE, related_name="uploads")
    sender = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    name = models.CharField(max_length=1000, help_text="file name with its folders, as the person has it")
    size_bytes = models.BigIntegerField()
    received_bytes = models.BigIntegerField(default=0)
    modified_ms = models.BigIntegerField(null=True, help_text="the file's own time; with name and size, how a browser "
                                                              "finds it again")
    # A path on the server, or s3:// with the name of a listed bucket, a key and an ETag (`webapp.collections.buckets`).
    source = models.CharField(max_length=4000, blank=True, help_text="a file on the server that the worker fetches")
    sha256 = models.CharField(max_length=64, blank=True,
                              help_text="of the file: what the sender says, checked, or else what arrived")
    status = models.CharField(max_length=10, choices=Status, default=Status.RECEIVING)
    members_total = models.PositiveIntegerField(default=0, help_text="files in an archive; 1 for an image")
    members_read = models.PositiveIntegerField(default=0)
    message = models.CharField(max_length=1000, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    sent_at = models.DateTimeField(null=True, help_text="when the reaper last told the workers of it")

    class Meta:
        indexes = [
            models.Index(fields=["collection", "status"]),  # what a collection still waits for
            models.Index(fields=["collection", "name"]),  # is this dropped file here already?
            models.Index(fields=["collection", "sha256"]),  # is this archive read already?
            models.Index(fields=["collection", "size_bytes"]),  # may it be?
        ]

    def __str__(self) -> str:
        return self.name


class Image(models.Model):
    """One photograph, stored once upright (EXIF applied) with a thumbnail.

    `number` is its place in the collection, the order every run and every file of labels uses.
    An exact duplicate is a row of its own that points at the first and shares its files.
    """

    collection = models.ForeignKey(Collection, on_delete=models.CASCADE, related_name="images")
    upload = models.ForeignKey(Upload, null=True, on_delete=models.SET_NULL, related_name="images")
    member = models.PositiveIntegerField(default=0, help_text="its place in the upload: read twice, stored once")
    number = models.PositiveIntegerField()
    path = models.CharField(max_length=1000, help_text="the person's own name for it, with folders")
    sha256 = models.CharField(max_length=64, help_text="of the file as it was sent")
    file = models.CharField(max_length=200, help_text="the upright image, under MEDIA_ROOT")
    thumbnail = models.CharField(max_length=200, help_text="WebP, at most 256 px, under MEDIA_ROOT")
    stored_bytes = models.BigIntegerField(default=0, help_text="of file and thumbnail; 0 where it shares another's")
    width_px = models.PositiveIntegerField()
    height_px = models.PositiveIntegerField()
    duplicate_of = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="duplicates")
    held_out = models.BooleanField(default=False, help_text="kept out of adaptation; answered all the same")
    set_aside = models.BooleanField(default=False, help_text="in no run until somebody brings it back")
    darkest = models.PositiveSmallIntegerField(null=True, help_text="5th percentile of luminance, 0 … 255")
    lightest = models.PositiveSmallIntegerField(null=True, help_text="99th percentile of luminance, 0 … 255")
    information_bits = models.FloatField(null=True, help_text="entropy of luminance; null where too small to say")
    sharpness = models.FloatField(null=True, help_text="see core.data.looks; null where too small to say")
    near_hash = models.BigIntegerField(null=True, help_text="64 bits that near copies share but for a few")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["collection", "number"], name="image_number_once"),
            models.UniqueConstraint(fields=["upload", "member"], name="image_member_once"),
        ]
        indexes = [models.Index(fields=["collection", "sha256"])]  # duplicate look-up at ingest

    def __str__(self) -> str:
        return self.path


class Refusal(models.Model):
    """A file that did not become an image, with the reason: a person can act on it, or it is a system's own file."""

    collection = models.ForeignKey(Collection, on_delete=models.CASCADE, related_name="refusals")
    upload = models.ForeignKey(Upload, null=True, on_delete=models.SET_NULL, related_name="refusals")
    member = models.PositiveIntegerField(default=0, help_text="as for an image")
    path = models.CharField(max_length=1000)
    reason = models.CharField(max_length=500)
    left_out = models.BooleanField(default=False, help_text="a hidden file of the operating system: counted, no fault")
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class TrueLabel(models.Model):
    """The truth about one image, from an optional CSV. Evaluation and the image's own page read it; no method does."""

    image = models.OneToOneField(Image, on_delete=models.CASCADE, related_name="true_label")
    name = models.CharField(max_length=200)

    def __str__(self) -> str:
        return self.name
