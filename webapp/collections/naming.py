"""Making and editing class lists: every edit is a new version, and no version ever changes."""

from __future__ import annotations

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.db.models import Max

from core.errors import DataError
from core.names import MAX_NAME_CHARACTERS, fold, tidy
from webapp.collections.models import ClassList, ClassListVersion


def check_list_name(owner: AbstractBaseUser, name: str, besides: ClassList | None = None) -> str:
    """Return a list's name, tidied.

    Raises:
        DataError: for none, one too long, or one the owner has already (but for case and spaces).
    """
    name = tidy(name)
    if not name:
        raise DataError("name of the list", "give the list a name, so that you find it again")
    if len(name) > MAX_NAME_CHARACTERS:
        raise DataError("name of the list", f"{len(name)} characters; at most {MAX_NAME_CHARACTERS}")
    others = ClassList.objects.filter(owner=owner).exclude(pk=besides.pk if besides else None)
    if fold(name) in {fold(one) for one in others.values_list("name", flat=True)}:
        raise DataError("name of the list", f"you have a list {name!r} already; choose it, or another name")
    return name


def create_class_list(owner: AbstractBaseUser, name: str, names: tuple[str, ...]) -> ClassListVersion:
    """Make a list and its first version; `names` come from `core.names`, which has checked them."""
    with transaction.atomic():
        get_user_model().objects.select_for_update(no_key=True).get(pk=owner.pk)  # a second click sees the first one's
        class_list = ClassList.objects.create(owner=owner, name=check_list_name(owner, name))
        return class_list.versions.create(number=1, names=list(names), created_by=owner)


def edit_class_list(class_list: ClassList, names: tuple[str, ...], author: AbstractBaseUser) -> ClassListVersion:
    """Return a new version with these names, or the newest one where nothing has changed."""
    with transaction.atomic():
        ClassList.objects.select_for_update().get(pk=class_list.pk)
        latest = class_list.versions.order_by("-number").first()
        if latest is not None and latest.names == list(names):
            return latest
        number = (class_list.versions.aggregate(last=Max("number"))["last"] or 0) + 1
        return class_list.versions.create(number=number, names=list(names), created_by=author)


def free_list_name(owner: AbstractBaseUser, wanted: str) -> str:
    """Return a name like `wanted` that the owner has not used yet: "birds", "birds 2", …"""
    taken = {fold(one) for one in ClassList.objects.filter(owner=owner).values_list("name", flat=True)}
    wanted = tidy(wanted)[:MAX_NAME_CHARACTERS - 5] or "class names"
    name, number = wanted, 1
    while fold(name) in taken:
        number += 1
        name = f"{wanted} {number}"
    return name
