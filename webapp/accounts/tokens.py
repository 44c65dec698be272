"""API tokens as a way to be somebody: `Authorization: Bearer lf_…` on the program's addresses."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.deprecation import MiddlewareMixin

from webapp.accounts.guard import refusal
from webapp.accounts.models import ApiToken, Scope, digest

TOKEN_PATHS = ("/api/", "/uploads/", "/media/", "/metrics")
"""Where a token opens; never the account's own pages, so that a token cannot make another."""
SCOPED_HERE = ("/uploads/", "/media/", "/metrics")
"""Where the scope follows from the address; each route of the API says its own (`webapp.api.authentication`)."""
UNSAFE_METHODS = ("POST", "PUT", "PATCH", "DELETE")
SEEN_EVERY = timedelta(minutes=1)


def find_token(secret: str) -> ApiToken | None:
    """Return the token if it has not expired and its owner is active, or None."""
    now = timezone.now()
    token = (ApiToken.objects.select_related("user")
             .filter(Q(expires_at__isnull=True) | Q(expires_at__gt=now), digest=digest(secret), user__is_active=True)
             .first())
    if token is None:
        return None
    if token.last_used_at is None or token.last_used_at < now - SEEN_EVERY:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
    return token


def bearer(request: HttpRequest) -> str:
    """Return the token a request carries, or ""."""
    kind, _, secret = request.headers.get("Authorization", "").partition(" ")
    return secret.strip() if kind.lower() == "bearer" else ""


def scope_of(request: HttpRequest) -> Scope:
    """Return the scope that a request takes; sending a file is writing, whatever the verb."""
    writes = request.method in UNSAFE_METHODS or request.path_info.startswith("/uploads/")
    return Scope.WRITE if writes else Scope.READ


def lacking(token: ApiToken, scope: Scope) -> tuple[str, str]:
    """Return the reason and the fix where a token lacks a scope."""
    return (f"The token “{token.name}” may {' and '.join(token.scopes)}; this takes the scope {scope}.",
            f"Make a token with the scope {scope} on your account page.")


class TokenRequest(HttpRequest):
    """A request that `TokenMiddleware` has seen.

    Attributes:
        token: the one it carries, or None.
    """

    token: ApiToken | None


class TokenMiddleware(MiddlewareMixin):
    """Before the CSRF check: a token cannot be sent by another site's page, so none is needed with it."""

    def process_request(self, request: TokenRequest) -> HttpResponse | None:
        """Recognise a token, or refuse a wrong one."""
        request.token = None
        secret = bearer(request)
        if not secret or not request.path_info.startswith(TOKEN_PATHS):
            return None
        token = find_token(secret)
        if token is None:
            return refusal(401, "token", "This token is unknown, revoked or expired.",
                           "Make a new one on your account page.")
        if request.path_info.startswith(SCOPED_HERE) and scope_of(request) not in token.scopes:
            return refusal(403, "token", *lacking(token, scope_of(request)))
        request.token = token
        request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]
        return None


class TokenUserMiddleware(MiddlewareMixin):
    """After the session's user is set: the token's owner takes its place."""

    def process_request(self, request: TokenRequest) -> None:
        """Put the token's owner into the request."""
        if request.token is not None:
            request.user = request.token.user
