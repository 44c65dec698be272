"""Notices that a run has ended: what each person asked for, and what is on its way."""

from __future__ import annotations

import secrets

from django.conf import settings
from django.db import models
from django.utils import timezone

from webapp.runs.models import Run


def new_secret() -> str:
    """Return a key to sign a person's webhooks with."""
    return secrets.token_urlsafe(32)


class NoticeSettings(models.Model):
    """How one person wants to hear of their runs that succeed or fail; without a row, not at all."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notice_settings")
    email = models.EmailField(blank=True, help_text="blank: no e-mail")
    webhook_url = models.CharField(max_length=500, blank=True, help_text="blank: no webhook")
    webhook_secret = models.CharField(max_length=64, default=new_secret, help_text="kept as it is: signing needs it")

    def __str__(self) -> str:
        return f"notices of {self.user}"

    def address(self, channel: str) -> str:
        """Return where a notice goes by a channel; "" where the person wants none by it."""
        return {Notice.Channel.EMAIL: self.email, Notice.Channel.WEBHOOK: self.webhook_url}[channel]


class Notice(models.Model):
    """One message about one ended run. Written in the transaction that ends the run, sent afterwards.

    waiting -> sent | given_up
    """

    class Channel(models.TextChoices):
        EMAIL = "email", "e-mail"
        WEBHOOK = "webhook", "webhook"

    class Status(models.TextChoices):
        WAITING = "waiting"
        SENT = "sent"
        GIVEN_UP = "given_up", "given up"

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="notices")
    recipient = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notices")
    channel = models.CharField(max_length=10, choices=Channel)
    status = models.CharField(max_length=10, choices=Status, default=Status.WAITING)
    tries = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(default=timezone.now, help_text="not tried before")
    error = models.CharField(max_length=500, blank=True, help_text="why the last try failed")
    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True, help_text="when the reaper last told the workers of it")

    class Meta:
        indexes = [models.Index(fields=["status", "due_at"])]  # the reaper's look

    def __str__(self) -> str:
        return f"{self.channel} to {self.recipient} about {self.run}"
