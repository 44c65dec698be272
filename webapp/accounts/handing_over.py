"""Handing over: the collections kept in one person's name are kept in another's from then on."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import transaction

from webapp.collections.models import Collection
from webapp.sharing.models import Role


def hand_over(former: User, heir: User) -> list[Collection]:
    """Make `heir` the owner of all that `former` owns, the trash included; return it.

    The former owner has no role there any more. Class lists stay whose they are: whoever sees a collection reads the
    list that it asks.
    """
    with transaction.atomic():
        collections = list(Collection.objects.select_for_update().filter(owner=former).order_by("pk"))
        for collection in collections:
            collection.memberships.update_or_create(user=heir, defaults={"role": Role.OWNER})
            collection.owner = heir
            collection.save(update_fields=["owner"])
            collection.memberships.filter(user=former).delete()
    return collections
