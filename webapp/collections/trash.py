"""The trash: what an owner deleted in the last thirty days, to be restored or deleted for good."""

from __future__ import annotations

import unicodedata

from django.contrib import messages
from django.db.models import Prefetch, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from core.names import tidy
from webapp.audit.trail import record
from webapp.collections.deletion import delete_collection, restore_collection
from webapp.collections.models import TRASH_LIFETIME, Image
from webapp.collections.permissions import get_trashed_collection
from webapp.runs.models import Run
from webapp.runs.permissions import own_trashed_runs
from webapp.sharing.access import trashed_collections_of


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """Show what one may restore."""
    faces = Prefetch("images", Image.objects.filter(number__lt=4), to_attr="faces")
    trashed = trashed_collections_of(request.user).order_by("-trashed_at").prefetch_related(faces)[:200]
    runs = own_trashed_runs(request).order_by("-trashed_at")[:200]
    return render(request, "collections/trash.html", {
        "section": "collections", "days": TRASH_LIFETIME.days,
        "trashed": [(collection, collection.trashed_at + TRASH_LIFETIME) for collection in trashed],
        "runs": [(run, run.trashed_at + TRASH_LIFETIME) for run in runs]})


@require_POST
def restore(request: HttpRequest, pk: int) -> HttpResponse:
    """Take a collection out of the trash."""
    collection = get_trashed_collection(request, pk)
    if not restore_collection(collection):
        raise Http404  # its time was over a moment ago
    record(request, collection, "restored it from the trash")
    paused = collection.runs.filter(Q(status=Run.Status.PAUSED) | Q(pause_requested=True)).exists()
    go_on = " Runs that were under way are paused: resume those that are to go on." if paused else ""
    messages.success(request, f"“{collection.name}” is back, with its images, runs and people.{go_on}")
    return redirect("collections:images", pk)


@require_POST
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Delete a collection for good, once its name was typed."""
    collection = get_trashed_collection(request, pk)
    if _as_shown(request.POST.get("confirm", "")) != _as_shown(collection.name):
        messages.error(request, "Nothing was deleted: the name you typed is not the collection's.")
    else:
        record(request, collection, "deleted it for good")
        if not delete_collection(collection):
            raise Http404  # restored a moment ago, or deleted
        messages.success(request, f"“{collection.name}” is deleted for good, with its images and runs.")
    return redirect("collections:trash")


def _as_shown(name: str) -> str:
    """Return what names share that a page shows alike; case is seen, and may tell two collections apart."""
    return tidy(unicodedata.normalize("NFC", name))
