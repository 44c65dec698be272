"""Who is asking: the owner of a token, or a signed-in person whose request carries the CSRF token.

The middleware of `webapp.accounts` has already looked the token up and refused wrong ones and nobody;
here is only said which of the two ways a route accepts, which scope it takes of a token, and that a
session alone is not enough.
"""

from __future__ import annotations

from http import HTTPStatus

from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest
from ninja.security import HttpBearer, SessionAuth

from webapp.accounts.models import ApiToken, Scope
from webapp.accounts.tokens import lacking, scope_of
from webapp.api.errors import ApiError


class TokenOwner(HttpBearer):
    """`Authorization: Bearer lf_…`; needs no CSRF token, because no other site's page can send it.

    The scope is `read` for what changes nothing and `write` for the rest, unless a route names another.
    """

    def __init__(self, scope: Scope | None = None) -> None:
        """Take tokens of `scope`."""
        super().__init__()
        self.scope = scope

    def authenticate(self, request: HttpRequest, token: str) -> AbstractBaseUser | None:
        """Return the token's owner.

        Raises:
            ApiError: 403 where the token lacks the scope.
        """
        found: ApiToken | None = getattr(request, "token", None)
        if found is None:
            return None
        scope = self.scope or scope_of(request)
        if scope not in found.scopes:
            raise ApiError(HTTPStatus.FORBIDDEN, "token", *lacking(found, scope))
        return found.user


class SignedIn(SessionAuth):
    """A browser's session, with its CSRF token on everything that changes something."""


REVIEWING = [TokenOwner(Scope.REVIEW), SignedIn()]
"""For routes that change labels and nothing else."""
