"""The first start: a one-time link that makes the administrator, and nothing that anybody could guess."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import User
from django.urls import reverse

from webapp.accounts.models import SignInLink


def base_url() -> str:
    """Return the address of the web as people reach it: by the first name of LABELFREE_HOSTS, if there is one.

    A proxy that speaks https, or shows the app under a path, has the usual port; else the web's own is needed.
    """
    named = [one for one in settings.ALLOWED_HOSTS if one not in settings.OWN_HOSTS and not one.startswith((".", "*"))]
    if not named:
        return f"http://localhost:{settings.PORT}"
    port = "" if settings.TLS or settings.URL_PREFIX or settings.PORT == 80 else f":{settings.PORT}"
    return f"{'https' if settings.TLS else 'http'}://{named[0]}{port}"


def first_link() -> str | None:
    """Return a new link that makes the administrator, or None when there is one already.

    An older first link stops working: the one printed last is the one that counts.
    """
    if User.objects.exists():
        return None
    SignInLink.objects.filter(user=None, used_at=None).delete()
    return base_url() + reverse("sign_in_link", args=[SignInLink.objects.issue(None)])


def link_for(user: AbstractBaseUser, next_url: str = "") -> str:
    """Return a link that signs `user` in once and goes on to `next_url`, or to the first page."""
    return base_url() + reverse("sign_in_link", args=[SignInLink.objects.issue(user, next_url)])
