"""May this person do this here? The one answer, for pages, API, uploads, pictures, panel and polling alike.

The rights of collections, runs and trials are named in the `permissions` of their apps; all of them ask
`find`, or `seen_by` and `first_granted`, of which it is made. What a person may not even look at does not
exist (404); what they may look at but not do is refused with the role it takes (403).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.db.models import F, Model, QuerySet
from django.http import Http404, HttpRequest
from django.utils import timezone

from webapp.collections.models import TRASH_LIFETIME, Collection
from webapp.sharing.models import Role

Thing = TypeVar("Thing", bound=Model)


def collections_of(user: AbstractBaseUser, least: Role = Role.VIEWER) -> QuerySet[Collection]:
    """Return the collections in which a person has at least the role `least`, each with their `role`."""
    enough = [role for role in Role if role.includes(least)]
    return (Collection.objects.filter(trashed_at=None, memberships__user=user, memberships__role__in=enough)
            .annotate(role=F("memberships__role")))


def trashed_collections_of(user: AbstractBaseUser) -> QuerySet[Collection]:
    """Return the collections in the trash that a person may restore: those they own."""
    return Collection.objects.filter(memberships__user=user, memberships__role=Role.OWNER,
                                     trashed_at__gt=timezone.now() - TRASH_LIFETIME)


def find(request: HttpRequest, things: QuerySet[Thing], pk: object, least: Role, through: str = "") -> Thing:
    """Return one thing if the person has at least the role `least` in its collection.

    Args:
        request: who asks.
        things: where to look.
        pk: which one.
        least: the role it takes.
        through: the relation from the thing to its collection, like "run__collection"; "" for a collection.

    Raises:
        Http404: if there is none, or the person has no role there.
        PermissionDenied: if their role is too low; the message is for them.
    """
    return first_granted(list(seen_by(request.user, things.filter(pk=pk), through)), least)


def seen_by(user: AbstractBaseUser | int, things: QuerySet[Thing], through: str = "") -> QuerySet[Thing]:
    """Return those of the things in whose collection a person has a role, each with their `role`."""
    prefix = f"{through}__" if through else ""
    return (things.filter(**{f"{prefix}memberships__user": user, f"{prefix}trashed_at": None})
            .annotate(role=F(f"{prefix}memberships__role")))


def first_granted(found: Sequence[Thing], least: Role) -> Thing:
    """Return the first of what `seen_by` found, if their role there is at least `least`.

    Raises:
        Http404, PermissionDenied: as for `find`.
    """
    if not found:
        raise Http404("there is no such thing, or it is not theirs")
    role = Role(found[0].role)  # type: ignore[attr-defined]
    if not role.includes(least):
        raise PermissionDenied(f"In this collection you are a {role.label.lower()}; this takes the role "
                               f"{least.label.lower()}. An owner of it can change your role.")
    return found[0]
