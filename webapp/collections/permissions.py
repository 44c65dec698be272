"""The one way from an address to somebody's things: what belongs to others does not exist (404)."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest
from django.shortcuts import get_object_or_404

from webapp.collections.models import ClassList, Collection, Image, Upload


def get_own_collection(request: HttpRequest, pk: int) -> Collection:
    """Return the signed-in user's collection; the right to read and change it."""
    own = Collection.objects.filter(owner=request.user).select_related("class_list_version__class_list")
    return get_object_or_404(own, pk=pk)


def get_own_class_list(request: HttpRequest, pk: int) -> ClassList:
    """Return the signed-in user's class list; the right to read and change it."""
    return get_object_or_404(ClassList, pk=pk, owner=request.user)


def get_own_upload(request: HttpRequest, pk: UUID) -> Upload:
    """Return an upload into one of the signed-in user's collections; the right to go on with it or drop it."""
    return get_object_or_404(Upload, pk=pk, collection__owner=request.user)


def get_own_image(request: HttpRequest, pk: int) -> Image:
    """Return an image of one of the signed-in user's collections; the right to see it."""
    return get_object_or_404(Image, pk=pk, collection__owner=request.user)
