"""Users as the commands in the server's shell name them."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.core.management.base import CommandError

NAMES_SHOWN = 20


def active_user(name: str) -> User:
    """Return the user of this name.

    Raises:
        CommandError: naming those that there are.
    """
    user = User.objects.filter(username=name, is_active=True).first()
    if user is None:
        names = ", ".join(User.objects.values_list("username", flat=True)[:NAMES_SHOWN])
        raise CommandError(f"there is no user {name!r}; users: {names or 'none yet'}")
    return user
