"""The page on which finished runs stand side by side, and the queue of images that they answer differently."""

from __future__ import annotations

from urllib.parse import urlencode

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from core.errors import ConfigError, DataError
from webapp.collections.permissions import get_reviewable_collection, get_visible_collection
from webapp.collections.views import frame
from webapp.review import actions
from webapp.runs import comparison

DISPUTES_A_PAGE = 24


@require_GET
def compare(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the chosen runs (else the newest of each method) beside each other, and what they disagree on."""
    collection = get_visible_collection(request, pk)
    runs = comparison.choose(collection, request.GET.getlist("run"))
    if len(runs) < 2:
        messages.info(request, "There is something to compare once two runs have succeeded.")
        return redirect("collections:runs", pk)
    rows = comparison.table(runs)
    wanted = request.GET.get("review", "")
    reviewed = next((run for run in runs if str(run.pk) == wanted), comparison.reviewed(rows))
    page = Paginator(comparison.disputed(reviewed, runs), DISPUTES_A_PAGE).get_page(request.GET.get("page"))
    return render(request, "runs/compare.html", frame(
        collection, "runs", rows=rows, runs=runs, reviewed=reviewed, page=page,
        others=[run for run in comparison.finished(collection) if run not in runs][:50],
        disputes=comparison.disputes(reviewed, runs, page.object_list), most_runs=comparison.MOST_RUNS,
        is_measured=any(row.measured for row in rows), is_checked=any(row.checked for row in rows),
        is_estimated=any(row.estimated for row in rows),
        query=urlencode([("run", run.pk) for run in runs] + [("review", reviewed.pk)])))


@require_POST
def settle(request: HttpRequest, pk: int) -> HttpResponse:
    """Take a person's word for one disputed image, as a correction of the run that is reviewed."""
    collection = get_reviewable_collection(request, pk)
    given = {name: request.POST.get(name, "") for name in ("review", "image", "class_index")}
    if not all(value.isdecimal() and len(value) < 18 for value in given.values()):
        messages.error(request, "Nothing was recorded: the page sent no image or class. Load it again.")
        return redirect("runs:compare", pk)
    run = get_object_or_404(comparison.finished(collection), pk=int(given["review"]))
    image = get_object_or_404(collection.images, pk=int(given["image"]))
    try:
        actions.correct(run, request.user, [image.pk], int(given["class_index"]))
    except (ConfigError, DataError) as error:
        messages.error(request, str(error))
    runs = comparison.choose(collection, request.POST.getlist("run"))
    if request.headers.get("HX-Request"):
        dispute = get_object_or_404(comparison.disputed(run, runs), image=image)
        return render(request, "runs/_dispute.html", {
            "dispute": comparison.disputes(run, runs, [dispute])[0], "collection": collection, "reviewed": run,
            "runs": runs})
    query = urlencode([("run", one.pk) for one in runs] + [("review", run.pk)])
    return redirect(f"{reverse('runs:compare', args=[pk])}?{query}")
