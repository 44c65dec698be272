"""Setting images aside before a run, by a flag or as near copies of one another, and bringing them back."""

from __future__ import annotations

from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from core.data.looks import LITTLE_BELOW_BITS, near_groups
from webapp.audit.trail import record
from webapp.collections import wall
from webapp.collections.models import Collection
from webapp.collections.permissions import get_own_collection, get_visible_collection
from webapp.collections.views import frame

GROUPS = 24
SHOWN = 12
AT_ONCE = 1000


def lookalikes(collection: Collection) -> list[list[int]]:
    """Return the numbers of images that are near copies of one another, by group; exact duplicates count once.

    Pictures with little to see are no copies: one blank wall is like another.
    """
    rows = list(collection.images.filter(duplicate_of=None, near_hash__isnull=False)
                .exclude(information_bits__lt=LITTLE_BELOW_BITS).order_by("number").values_list("number", "near_hash"))
    return [[rows[index][0] for index in group] for group in near_groups([one for _, one in rows])]


@require_GET
def near_copies(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the groups of near copies."""
    collection = get_visible_collection(request, pk)
    found = lookalikes(collection)
    page = Paginator(found, GROUPS).get_page(request.GET.get("page"))
    shown = {number for group in page.object_list for number in group[:SHOWN]}
    by_number = {image.number: image for image in collection.images.filter(number__in=shown)}
    groups = [([by_number[number] for number in group[:SHOWN]], len(group) - SHOWN) for group in page.object_list]
    return render(request, "collections/near_copies.html", frame(
        collection, "images", page=page, groups=groups, group_count=len(found), counts=wall.counts(collection),
        copy_count=sum(len(group) - 1 for group in found)))


@require_POST
def set_aside(request: HttpRequest, pk: int) -> HttpResponse:
    """Set aside all images of a flag, or all near copies but the first of each group; or bring back what is."""
    collection = get_own_collection(request, pk)
    kind = request.POST.get("kind", "")
    wall_page = reverse("collections:images", args=[pk])
    if kind == "set-aside":
        count = collection.images.filter(set_aside=True).update(set_aside=False)
        record(request, collection, f"brought {_images(count)} back")
        messages.success(request, f"{_images(count)} brought back: the next run has them again.")
        return redirect(wall_page)
    if kind == "near-copies":
        count, back = _set_copies_aside(collection), reverse("collections:near_copies", args=[pk])
    elif kind in wall.FLAGS:
        count, back = _set_flagged_aside(collection, kind), f"{wall_page}?show=set-aside"
    else:
        raise Http404("no such flag")
    if count is None:
        messages.error(request, "Nothing was set aside: no image would be left for a run.")
        return redirect(f"{wall_page}?show={kind}")
    record(request, collection, f"set {_images(count)} aside: {wall.TITLES.get(kind, 'near copies').lower()}")
    messages.success(request, f"{_images(count)} set aside: no run that begins has them until you bring them back. "
                              "Nothing is deleted.")
    return redirect(back)


def _set_flagged_aside(collection: Collection, kind: str) -> int | None:
    """Set aside what has a flag (exact duplicates share it); return how many, None where nothing would be left."""
    kept = collection.images.filter(set_aside=False)
    chosen = kept.filter(wall.FLAGS[kind])
    return None if kept.count() == chosen.count() else chosen.update(set_aside=True)


def _set_copies_aside(collection: Collection) -> int:
    """Set aside all near copies but the first of each group that is not yet, their exact duplicates with them.

    Returns:
        How many.
    """
    gone = set(collection.images.filter(set_aside=True).values_list("number", flat=True))
    left = ([number for number in group if number not in gone] for group in lookalikes(collection))
    copies = [number for group in left for number in group[1:]]
    count = 0
    with transaction.atomic():
        for start in range(0, len(copies), AT_ONCE):
            some = copies[start:start + AT_ONCE]
            count += collection.images.filter(
                Q(number__in=some) | Q(duplicate_of__number__in=some), set_aside=False).update(set_aside=True)
    return count


def _images(count: int) -> str:
    return f"{count:,} image{'' if count == 1 else 's'}"
