"""API tokens as a way to be somebody: `Authorization: Bearer lf_…` on the program's addresses."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.deprecation import MiddlewareMixin

from webapp.accounts.guard import refusal
from webapp.accounts.models import ApiToken, digest

TOKEN_PATHS = ("/api/", "/uploads/", "/media/")
"""Where a token opens; never the account's own pages, so that a token cannot make another."""
SEEN_EVERY = timedelta(minutes=1)


def user_of(secret: str) -> AbstractBaseUser | None:
    """Return the active owner of a token that has not expired, or None."""
    now = timezone.now()
    token = (ApiToken.objects.select_related("user")
             .filter(Q(expires_at__isnull=True) | Q(expires_at__gt=now), digest=digest(secret), user__is_active=True)
             .first())
    if token is None:
        return None
    if token.last_used_at is None or token.last_used_at < now - SEEN_EVERY:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
    return token.user


def bearer(request: HttpRequest) -> str:
    """Return the token a request carries, or ""."""
    kind, _, secret = request.headers.get("Authorization", "").partition(" ")
    return secret.strip() if kind.lower() == "bearer" else ""


class TokenMiddleware(MiddlewareMixin):
    """Before the CSRF check: a token cannot be sent by another site's page, so none is needed with it."""

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        """Recognise a token, or refuse a wrong one."""
        request.token_user = None  # type: ignore[attr-defined]
        secret = bearer(request)
        if not secret or not request.path_info.startswith(TOKEN_PATHS):
            return None
        user = user_of(secret)
        if user is None:
            return refusal(401, "token", "This token is unknown, revoked or expired.",
                           "Make a new one on your account page.")
        request.token_user = user  # type: ignore[attr-defined]
        request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]
        return None


class TokenUserMiddleware(MiddlewareMixin):
    """After the session's user is set: the token's owner takes its place."""

    def process_request(self, request: HttpRequest) -> None:
        """Put the token's owner into the request."""
        if request.token_user is not None:  # type: ignore[attr-defined]
            request.user = request.token_user  # type: ignore[attr-defined]
