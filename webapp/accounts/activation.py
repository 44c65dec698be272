"""Closing an account and opening it again; a closed one lets nobody in, by any door, and keeps all that is its own.

Sessions end and are not there again when it is opened; tokens and links that nobody has used are refused meanwhile
(`accounts.tokens`, `accounts.views`, `accounts.passwords`). Runs go on: they belong to collections, which others share.
"""

from __future__ import annotations

from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import transaction
from django.utils import timezone

from core.errors import DataError


def is_administrator(user: User) -> bool:
    """Tell whether a person looks after this installation; the queue and the logs ask the same."""
    return user.is_staff


def deactivate(account: User, administrator: User) -> None:
    """Close an account at once.

    Raises:
        DataError: for one's own, or where no administrator would be left.
    """
    if account.pk == administrator.pk:
        raise DataError("this account", "is your own; another administrator can deactivate it")
    with transaction.atomic():
        left = User.objects.select_for_update().filter(is_staff=True, is_active=True).order_by("pk")
        if administrator not in left:  # deactivated a moment ago, maybe by the only one left
            raise DataError(account.get_username(), "stays: you are no administrator any more")
        User.objects.filter(pk=account.pk).update(is_active=False)
        _end_sessions(account)


def activate(account: User) -> None:
    """Open an account again: it signs in with its password, and its tokens open what they opened."""
    User.objects.filter(pk=account.pk).update(is_active=True)


def _end_sessions(account: User) -> None:
    """Delete the person's sessions, which would open again with the account; whose one is stands only inside it."""
    running = Session.objects.filter(expire_date__gt=timezone.now())
    theirs = [one.pk for one in running if one.get_decoded().get(SESSION_KEY) == str(account.pk)]
    Session.objects.filter(pk__in=theirs).delete()
