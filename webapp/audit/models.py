"""The entries of the audit trail: written once, never changed, kept when their person or collection is gone."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from webapp.collections.models import Collection


class Entry(models.Model):
    """One change that a person, or a program with their token, has made.

    What concerns their own account has no collection, and no name of one.
    """

    collection = models.ForeignKey(Collection, null=True, on_delete=models.SET_NULL, related_name="audit_trail")
    collection_name = models.CharField(max_length=200)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    actor_name = models.CharField(max_length=150)
    token_name = models.CharField(max_length=100, blank=True, help_text="of the token, where a program did it")
    what = models.CharField(max_length=300, help_text="a phrase that follows the name: “started run 7”")
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["collection", "-at"])]  # the history of a collection

    def __str__(self) -> str:
        return f"{self.actor_name} {self.what}"
