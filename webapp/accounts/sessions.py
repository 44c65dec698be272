"""Who is signed in: Django's sessions and users in the database, asked for by prepared queries, at every request."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.contrib.sessions.models import Session
from django.db.models import QuerySet
from django.utils import timezone

from webapp.config.prepared import prepared

DJANGOS_BACKEND = "django.contrib.auth.backends.ModelBackend"


class SessionStore(DatabaseStore):
    """Django's sessions in the database."""

    def _get_session_from_db(self) -> Session | None:
        """Return this session if it is there and not too old; else forget its key, as Django does."""
        found = _kept(self.session_key or "", timezone.now())
        if not found:
            self._session_key = None
        return found[0] if found else None

    def decode(self, session_data: str) -> dict[str, Any]:
        """Return what a session holds; one from before there were `Accounts` stays signed in."""
        held = super().decode(session_data)
        if held.get(BACKEND_SESSION_KEY) == DJANGOS_BACKEND:
            held[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
        return held


class Accounts(ModelBackend):
    """Django's users and passwords."""

    def get_user(self, user_id: int) -> User | None:
        """Return a user who may sign in."""
        found = _user(int(user_id))
        return found[0] if found and self.user_can_authenticate(found[0]) else None


@prepared
def _kept(key: str, now: datetime, /) -> QuerySet[Session]:
    return Session.objects.filter(session_key=key, expire_date__gt=now)


@prepared
def _user(pk: int, /) -> QuerySet[User]:
    return User.objects.filter(pk=pk)
