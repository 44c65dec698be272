"""People's keys to the house: the one-time first-run link, sign-in links and API tokens."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from datetime import timedelta

from django.conf import settings
from django.db import models
from django.utils import timezone


def digest(secret: str) -> str:
    """Return the SHA-256 by which a secret is stored; the secret itself never is."""
    return hashlib.sha256(secret.encode()).hexdigest()


class SignInLinkManager(models.Manager["SignInLink"]):
    """Makes links and takes them back."""

    def issue(self, user: settings.AUTH_USER_MODEL | None, next_url: str = "",
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


class Scope(models.TextChoices):
    """What a token may be used for, within what its owner may do."""

    READ = "read", "Read"
    WRITE = "write", "Write"
    REVIEW = "review", "Review"


def every_scope() -> list[str]:
    """Return all scopes."""
    return list(Scope.values)


class ApiToken(models.Model):
    """A key for programs; shown once, stored as its digest."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100)
    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    scopes = models.JSONField(default=every_scope, help_text="some of Scope")

    def __str__(self) -> str:
        return self.name

    @property
    def is_expired(self) -> bool:
        """Tell whether its time is over."""
        return self.expires_at is not None and self.expires_at <= timezone.now()

    @classmethod
    def issue(cls, user: settings.AUTH_USER_MODEL, name: str, scopes: Iterable[str] = Scope.values,
              lifetime: timedelta | None = None) -> tuple[ApiToken, str]:
        """Make a token that ends after `lifetime` (None: never); return it and its secret, shown this once."""
        secret = f"lf_{secrets.token_urlsafe(32)}"
        expires_at = timezone.now() + lifetime if lifetime else None
        return cls.objects.create(user=user, name=name, digest=digest(secret), scopes=list(scopes),
                                  expires_at=expires_at), secret
