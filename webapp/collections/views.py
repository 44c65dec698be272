"""Pages of collections: the cards at home, the wall of images, one image, settings."""

from __future__ import annotations

import re

from django.conf import settings as configuration
from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, Prefetch
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from webapp.accounts.guard import refusal
from webapp.audit.trail import record
from webapp.collections import wall
from webapp.collections.deletion import trash_collection
from webapp.collections.forms import CollectionForm
from webapp.collections.media import thumbnails
from webapp.collections.models import TRASH_LIFETIME, Collection, Image, TrueLabel
from webapp.collections.permissions import get_own_collection, get_own_upload, get_visible_collection
from webapp.collections.room import share
from webapp.collections.uploads import drop, give_up_waiting
from webapp.review.image_answers import answers_to
from webapp.runs.models import LIVE, Run
from webapp.runs.permissions import own_trashed_runs
from webapp.sharing.access import collections_of, trashed_collections_of

CARDS = 24
RUNS_A_PAGE = 50


def frame(collection: Collection, tab: str, **more: object) -> dict[str, object]:
    """Return what the head and the tabs of every page of a collection need."""
    return {**more, "section": "collections", "collection": collection, "tab": tab,
            "image_count": collection.images.count(), "run_count": collection.runs.count()}


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """Show the collections one has a role in and the runs in progress."""
    seen = (collections_of(request.user).annotate(image_count=Count("images")).order_by("-created_at")
            .prefetch_related(Prefetch("images", Image.objects.filter(number__lt=4), to_attr="faces")))
    active = (Run.objects.filter(collection__in=collections_of(request.user).values("pk"),
                                status__in=LIVE)
              .select_related("collection").order_by("queued_at"))
    return render(request, "collections/home.html", {
        "section": "collections", "active_runs": active, "trashed": trashed_collections_of(request.user).count(),
        "share": share(request.user), "page": Paginator(seen, CARDS).get_page(request.GET.get("page"))})


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
    record(request, collection, "made the collection")
    if wants_json:
        url = reverse("collections:images", args=[collection.pk])
        return JsonResponse({"id": collection.pk, "url": url}, status=201)
    return redirect("collections:images", collection.pk)


@require_GET
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    """Go to the collection's images."""
    return redirect("collections:images", get_visible_collection(request, pk).pk)


def _wall(request: HttpRequest, collection: Collection) -> dict[str, object]:
    """Return the page of the wall that the address asks for."""
    kind, words = request.GET.get("show", "all"), request.GET.get("find", "").strip()[:200]
    after = request.GET.get("after", "-1")
    if kind not in wall.KINDS or not re.fullmatch("-?[0-9]{1,11}", after):
        raise Http404("no such page of the wall")
    found = wall.page(collection, int(after), kind, words)
    place = reverse("collections:images", args=[collection.pk])
    return {"images": found, "drawn": wall.draw(found, place, thumbnails()), "kind": kind,
            "flag_title": wall.TITLES.get(kind, ""), "words": words, "is_full": len(found) == wall.PAGE,
            "last": found[-1].number if found else int(after)}


@require_GET
def images(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the wall and what is arriving."""
    collection = get_visible_collection(request, pk)
    shown = _wall(request, collection)
    return render(request, "collections/images.html", frame(
        collection, "images", roots=configuration.SOURCE_ROOTS, buckets=configuration.SOURCE_BUCKETS,
        arrivals=wall.arrivals(collection), counts=wall.counts(collection), **shown))


@require_GET
def wall_page(request: HttpRequest, pk: int) -> HttpResponse:
    """Answer with the wall's next page, for the end of the wall."""
    collection = get_visible_collection(request, pk)
    return render(request, "collections/_wall_page.html", {"collection": collection, **_wall(request, collection)})


@require_GET
def arrivals(request: HttpRequest, pk: int) -> HttpResponse:
    """Answer the polling of what is arriving; the wall and the list of refusals are told when they have grown."""
    collection = get_visible_collection(request, pk)
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
    """Show one image, with its twins, its neighbours, and what is said of it."""
    collection = get_visible_collection(request, pk)
    found = get_object_or_404(collection.images.select_related("duplicate_of", "upload"), number=number)
    first = found.duplicate_of or found
    twins = [one for one in (first, *first.duplicates.order_by("number")[:50]) if one.pk != found.pk]
    folder, slash, name = found.path.rpartition("/")
    return render(request, "collections/image.html", frame(
        collection, "images", image=found, folder=folder + slash, name=name, twins=twins, answers=answers_to(found),
        truth=TrueLabel.objects.filter(image=found).first(),
        before=number - 1 if number else None,
        after=number + 1 if collection.images.filter(number=number + 1).exists() else None))


@require_POST
def discard_upload(request: HttpRequest, upload_pk: str) -> HttpResponse:
    """Give up an unfinished upload."""
    upload = get_own_upload(request, upload_pk)
    if drop(upload):
        record(request, upload.collection, f"discarded the upload of {upload.name}")
        messages.success(request, f"What had arrived of {upload.name} is gone.")
    else:
        messages.info(request, f"{upload.name} has arrived in the meantime.")
    return redirect("collections:images", upload.collection_id)


@require_POST
def give_up(request: HttpRequest, pk: int) -> HttpResponse:
    """Give up the files that wait or are being read."""
    collection = get_own_collection(request, pk)
    if count := give_up_waiting(collection):
        record(request, collection, f"gave up {count:,} files before they were read to the end")
        files = "file" if count == 1 else "files"
        messages.success(request, f"{count:,} {files} given up, listed below by name. Send again what you want.")
    else:
        messages.info(request, "Nothing waits any more.")
    return redirect("collections:images", collection.pk)


@require_GET
def runs(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the collection's runs."""
    collection = get_visible_collection(request, pk)
    found = collection.runs.select_related("class_list_version__class_list").order_by("-created_at")
    page = Paginator(found, RUNS_A_PAGE).get_page(request.GET.get("page"))
    trashed = own_trashed_runs(request).filter(collection=collection)
    undo = trashed.filter(pk=request.session.get("trashed_run")).first()
    if undo is not None:
        del request.session["trashed_run"]
    return render(request, "collections/runs.html", frame(
        collection, "runs", page=page, runs=page.object_list, trashed=trashed.count(), days=TRASH_LIFETIME.days,
        undo=undo, can_compare=collection.runs.filter(status=Run.Status.SUCCEEDED).count() > 1))


@require_http_methods(["GET", "POST"])
def settings(request: HttpRequest, pk: int) -> HttpResponse:
    """Rename the collection."""
    collection = get_own_collection(request, pk)
    form = CollectionForm(request.POST or None, initial={"name": collection.name})
    if request.method == "POST" and form.is_valid():
        former, collection.name = collection.name, form.cleaned_data["name"]
        collection.save(update_fields=["name"])
        record(request, collection, f"renamed it from “{former}” to “{collection.name}”")
        messages.success(request, "Renamed.")
        return redirect("collections:settings", pk)
    return render(request, "collections/settings.html", frame(collection, "settings", form=form),
                  status=422 if form.is_bound else 200)


@require_POST
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Put the collection into the trash."""
    collection = get_own_collection(request, pk)
    trash_collection(collection)
    record(request, collection, "moved it to the trash")
    days = TRASH_LIFETIME.days
    messages.success(request, f"“{collection.name}” is in the trash: for {days} days it can be restored.")
    return redirect("home")
