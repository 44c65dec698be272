"""People's keys to the house: the one-time first-run link, sign-in links and API tokens."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from django.conf import settings
from django.db import models
from django.utils import timezone


def digest(secret: str) -> str:
    """Return the SHA-256 by which a secret is stored; the secret itself never is."""
    return hashlib.sha256(secret.encode()).hexdigest()


class SignInLinkManager(models.Manager["SignInLink"]):
    """Makes links and takes them back."""

    def issue(self, user: settings.AUTH_USER_MODEL | None, next_url: str = "/",
              lifetime: timedelta = timedelta(hours=24)) -> str:
        """Store a new link for `user` (None: the first run, which makes the administrator); return its secret."""
        secret = secrets.token_urlsafe(32)
        self.create(user=user, digest=digest(secret), next_url=next_url, expires_at=timezone.now() + lifetime)
        return secret


class SignInLink(models.Model):
    """A link that signs in once. Without a user it is the first-run link: it makes the administrator."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE)
    digest = models.CharField(max_length=64, unique=True)
    next_url = models.CharField(max_length=500, default="/")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    objects = SignInLinkManager()

    def __str__(self) -> str:
        return f"sign-in link for {self.user or 'the first administrator'}"


class ApiToken(models.Model):
    """A key for programs; shown once, stored as its digest."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100)
    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.name

    @classmethod
    def issue(cls, user: settings.AUTH_USER_MODEL, name: str) -> tuple[ApiToken, str]:
        """Make a token; return it and its secret, which cannot be shown again."""
        secret = f"lf_{secrets.token_urlsafe(32)}"
        return cls.objects.create(user=user, name=name, digest=digest(secret)), secret
