"""Pages of collections: the cards at home, the wall of images, one image, settings."""

from __future__ import annotations

import csv
from io import StringIO

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, Prefetch
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from webapp.accounts.guard import refusal
from webapp.collections import wall
from webapp.collections.deletion import delete_collection
from webapp.collections.forms import CollectionForm
from webapp.collections.models import Collection, Image
from webapp.collections.permissions import get_own_collection, get_own_upload
from webapp.collections.uploads import drop
from webapp.runs.models import Run

CARDS = 24
RUNS_A_PAGE = 50


def frame(collection: Collection, tab: str, **more: object) -> dict[str, object]:
    """Return what the head and the tabs of every page of a collection need."""
    return {**more, "section": "collections", "collection": collection, "tab": tab,
            "image_count": collection.images.count(), "run_count": collection.runs.count()}


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """Show one's collections and the runs in progress."""
    own = (Collection.objects.filter(owner=request.user).annotate(image_count=Count("images")).order_by("-created_at")
           .prefetch_related(Prefetch("images", Image.objects.filter(number__lt=4), to_attr="faces")))
    active = (Run.objects.filter(collection__owner=request.user, status__in=[Run.Status.QUEUED, Run.Status.RUNNING])
              .select_related("collection").order_by("queued_at"))
    return render(request, "collections/home.html", {
        "section": "collections", "active_runs": active,
        "page": Paginator(own, CARDS).get_page(request.GET.get("page"))})


@require_POST
def create(request: HttpRequest) -> HttpResponse:
    """Make a collection; a script is answered with its number and address."""
    form = CollectionForm(request.POST)
    wants_json = "application/json" in request.headers.get("Accept", "")
    if not form.is_valid():
        reason = " ".join(form.errors.get("name", ["Give the collection a name."]))
        if wants_json:
            return refusal(422, "name", reason, "give it a name of at most 200 characters")
        messages.error(request, reason)
        return redirect("home")
    collection = Collection.objects.create(owner=request.user, name=form.cleaned_data["name"])
    if wants_json:
        url = reverse("collections:images", args=[collection.pk])
        return JsonResponse({"id": collection.pk, "url": url}, status=201)
    return redirect("collections:images", collection.pk)


@require_GET
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    """Go to the collection's images."""
    return redirect("collections:images", get_own_collection(request, pk).pk)


def _wall(request: HttpRequest, collection: Collection) -> dict[str, object]:
    """Return the page of the wall that the address asks for."""
    kind, words = request.GET.get("show", "all"), request.GET.get("find", "").strip()[:200]
    after = request.GET.get("after", "-1")
    if kind not in wall.KINDS or not after.removeprefix("-").isdigit() or len(after) > 12:
        raise Http404("no such page of the wall")
    found = wall.page(collection, int(after), kind, words)
    return {"images": found, "kind": kind, "words": words, "is_full": len(found) == wall.PAGE,
            "last": found[-1].number if found else int(after)}


@require_GET
def images(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the wall and what is arriving."""
    collection = get_own_collection(request, pk)
    return render(request, "collections/images.html", frame(
        collection, "images", arrivals=wall.arrivals(collection), **_wall(request, collection)))


@require_GET
def wall_page(request: HttpRequest, pk: int) -> HttpResponse:
    """Answer with the wall's next page, for the end of the wall."""
    collection = get_own_collection(request, pk)
    return render(request, "collections/_wall_page.html", {"collection": collection, **_wall(request, collection)})


@require_GET
def arrivals(request: HttpRequest, pk: int) -> HttpResponse:
    """Answer the polling of what is arriving; the wall and the list of refusals are told when they have grown."""
    collection = get_own_collection(request, pk)
    now = wall.arrivals(collection)
    context = {"collection": collection, "arrivals": now, "is_update": True}
    if request.GET.get("part") == "refusals":
        return render(request, "collections/_refusals.html", context)
    response = render(request, "collections/_arrivals.html", context)
    counts = (("images", now.images), ("refused", now.refused))
    grown = [event for event, count in counts if request.GET.get(event) != str(count)]
    if grown:
        response["HX-Trigger"] = ", ".join(f"{event}-changed" for event in grown)
    return response


@require_GET
def image(request: HttpRequest, pk: int, number: int) -> HttpResponse:
    """Show one image, with its twins and its neighbours."""
    collection = get_own_collection(request, pk)
    found = get_object_or_404(collection.images.select_related("duplicate_of", "upload"), number=number)
    first = found.duplicate_of or found
    twins = [one for one in (first, *first.duplicates.order_by("number")[:50]) if one.pk != found.pk]
    return render(request, "collections/image.html", frame(
        collection, "images", image=found, twins=twins, before=number - 1 if number else None,
        after=number + 1 if collection.images.filter(number=number + 1).exists() else None))


@require_GET
def refusals_csv(request: HttpRequest, pk: int) -> HttpResponse:
    """Download what was refused and why."""
    collection = get_own_collection(request, pk)
    out = StringIO()
    writer = csv.writer(out)
    writer.writerow(["path", "reason"])
    writer.writerows((harmless(path), harmless(reason))
                     for path, reason in collection.refusals.order_by("pk").values_list("path", "reason"))
    return HttpResponse(out.getvalue(), content_type="text/csv; charset=utf-8",
                        headers={"Content-Disposition": 'attachment; filename="refused.csv"'})


def harmless(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t")) else cell


@require_POST
def clear_refusals(request: HttpRequest, pk: int) -> HttpResponse:
    """Empty the list of refused files."""
    collection = get_own_collection(request, pk)
    collection.refusals.all().delete()
    return redirect("collections:images", collection.pk)


@require_POST
def discard_upload(request: HttpRequest, upload_pk: str) -> HttpResponse:
    """Give up an unfinished upload."""
    upload = get_own_upload(request, upload_pk)
    if drop(upload):
        messages.success(request, f"What had arrived of {upload.name} is gone.")
    else:
        messages.info(request, f"{upload.name} has arrived in the meantime.")
    return redirect("collections:images", upload.collection_id)


@require_GET
def runs(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the collection's runs."""
    collection = get_own_collection(request, pk)
    found = collection.runs.select_related("class_list_version__class_list").order_by("-created_at")
    page = Paginator(found, RUNS_A_PAGE).get_page(request.GET.get("page"))
    return render(request, "collections/runs.html", frame(
        collection, "runs", page=page, runs=page.object_list,
        can_compare=collection.runs.filter(status=Run.Status.SUCCEEDED).count() > 1))


@require_http_methods(["GET", "POST"])
def settings(request: HttpRequest, pk: int) -> HttpResponse:
    """Rename the collection."""
    collection = get_own_collection(request, pk)
    form = CollectionForm(request.POST or None, initial={"name": collection.name})
    if request.method == "POST" and form.is_valid():
        collection.name = form.cleaned_data["name"]
        collection.save(update_fields=["name"])
        messages.success(request, "Renamed.")
        return redirect("collections:settings", pk)
    return render(request, "collections/settings.html", frame(collection, "settings", form=form),
                  status=422 if form.is_bound else 200)


@require_POST
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Delete the collection, once its name was typed."""
    collection = get_own_collection(request, pk)
    if request.POST.get("confirm", "").strip() != collection.name.strip():
        messages.error(request, "Nothing was deleted: the name you typed is not the collection's.")
        return redirect("collections:settings", pk)
    delete_collection(collection)
    messages.success(request, f"“{collection.name}” is deleted, with its images and runs.")
    return redirect("home")
