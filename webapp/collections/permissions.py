"""From an address to a collection and what is in it: each function is named for the right it grants.

What a person has no role in does not exist (404); what their role is too low for is refused (403).
"""

from __future__ import annotations

from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db.models import Prefetch, Q, QuerySet, prefetch_related_objects
from django.http import HttpRequest
from django.shortcuts import get_object_or_404

from webapp.collections.models import ClassList, ClassListVersion, Collection, Image, Upload
from webapp.config.prepared import prepared
from webapp.sharing.access import collections_of, find, first_granted, seen_by, trashed_collections_of
from webapp.sharing.models import Role


def get_visible_collection(request: HttpRequest, pk: int) -> Collection:
    """Return a collection; the right to look at it and download from it."""
    return first_granted(_collection(request.user.pk, pk), Role.VIEWER)


def get_reviewable_collection(request: HttpRequest, pk: int) -> Collection:
    """Return a collection; the right to confirm and correct in it."""
    return first_granted(_collection(request.user.pk, pk), Role.REVIEWER)


def get_own_collection(request: HttpRequest, pk: int) -> Collection:
    """Return a collection; the right to do everything with it."""
    return first_granted(_collection(request.user.pk, pk), Role.OWNER)


@prepared
def _collection(user: int, pk: int, /) -> QuerySet[Collection]:
    return seen_by(user, Collection.objects.filter(pk=pk).select_related("class_list_version__class_list"))


def get_trashed_collection(request: HttpRequest, pk: int) -> Collection:
    """Return a collection in the trash; the right to restore it or delete it for good."""
    return get_object_or_404(trashed_collections_of(request.user), pk=pk)


def get_own_upload(request: HttpRequest, pk: UUID) -> Upload:
    """Return an upload; the right to go on with it or drop it."""
    return find(request, Upload.objects.all(), pk, Role.OWNER, through="collection")


def get_visible_image(request: HttpRequest, pk: int) -> Image:
    """Return an image, of it only where its files are; the right to see it. A page asks for sixty."""
    return first_granted(_image(request.user.pk, pk), Role.VIEWER)


@prepared
def _image(user: int, pk: int, /) -> QuerySet[Image]:
    return seen_by(user, Image.objects.filter(pk=pk).only("file", "thumbnail"), through="collection")


def get_visible_class_list(request: HttpRequest, pk: int) -> ClassList:
    """Return a class list; the right to read it: one's own, or asked by a collection or run one may look at.

    Of somebody else's, `versions` and `latest` are those that are asked there; all of them, while its owner has a role
    in one of the collections that ask it.
    """
    seen = collections_of(request.user)
    within = seen.values("pk")
    asked = ClassListVersion.objects.filter(Q(collection__in=within) | Q(run__collection__in=within)).distinct()
    readable = ClassList.objects.filter(Q(owner=request.user) | Q(versions__in=asked.values("pk")))
    found = get_object_or_404(readable.distinct(), pk=pk)
    shared = seen.filter(class_list_version__class_list=found).filter(memberships__user=found.owner_id)
    if found.owner_id != request.user.pk and not shared.exists():
        prefetch_related_objects([found], Prefetch("versions", asked))  # its later queries keep this filter
    return found


def get_own_class_list(request: HttpRequest, pk: int) -> ClassList:
    """Return a class list; the right to change it, which stays with its owner however it is asked.

    Were it to come with a collection, asking somebody's list in a collection of one's own would be enough.
    """
    found = get_visible_class_list(request, pk)
    if found.owner_id != request.user.pk:
        raise PermissionDenied("This class list belongs to somebody else: you may read it. To change the names, "
                               "make a list of your own from them.")
    return found
