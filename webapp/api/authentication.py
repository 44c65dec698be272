"""Who is asking: the owner of a token, or a signed-in person whose request carries the CSRF token.

The middleware of `webapp.accounts` has already looked the token up and refused wrong ones and nobody;
here is only said which of the two ways a route accepts, and that a session alone is not enough.
"""

from __future__ import annotations

from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest
from ninja.security import HttpBearer, SessionAuth


class TokenOwner(HttpBearer):
    """`Authorization: Bearer lf_…`; needs no CSRF token, because no other site's page can send it."""

    def authenticate(self, request: HttpRequest, token: str) -> AbstractBaseUser | None:
        """Return the token's owner."""
        return getattr(request, "token_user", None)


class SignedIn(SessionAuth):
    """A browser's session, with its CSRF token on everything that changes something."""
