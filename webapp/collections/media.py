"""Pictures, for those who may see them; nothing under MEDIA_ROOT has an address of its own."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_safe

from webapp.collections.permissions import get_visible_image
from webapp.config.files import file_response


def thumbnails() -> str:
    """Return what stands before an image's id in the address of its thumbnail: a page of many asks for it once."""
    return reverse("media:thumbnail", args=[0]).removesuffix("0")


@require_safe
def thumbnail(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Answer with an image's thumbnail; a page asks for sixty."""
    found = get_visible_image(request, pk)
    return file_response(request, settings.MEDIA_ROOT / found.thumbnail, immutable=True)


@require_safe
def image(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Answer with the upright image."""
    return file_response(request, settings.MEDIA_ROOT / get_visible_image(request, pk).file, immutable=True)
