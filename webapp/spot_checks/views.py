"""The page of a run's spot check: choose a sample, answer one image after another, see what was measured."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from core.errors import ConfigError, DataError
from core.evaluation.spot_check import SIZES
from webapp.review.names import class_names, has_class_list
from webapp.runs.models import Run
from webapp.runs.permissions import get_reviewable_run, get_visible_run
from webapp.sharing.models import Role
from webapp.spot_checks import samples
from webapp.spot_checks.models import SampledImage, SpotCheck
from webapp.spot_checks.outcome import Outcome, finished, latest, others
from webapp.spot_checks.population import unseen

KEYS = "1234567890"
"""One for each class; with more classes than keys, names are found by typing."""
Verdict = SampledImage.Verdict


@require_GET
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the newest sample: its next image, or what it measured; where there is none, offer one."""
    run = get_visible_run(request, pk)
    found = None if "new" in request.GET else latest(run)
    if run.role == Role.VIEWER and not (found and found.is_finished):  # who cannot answer sees what stands
        found = finished(run)
    return render(request, "spot_checks/detail.html", _context(run, found))


@require_POST
def start(request: HttpRequest, pk: int) -> HttpResponse:
    """Draw a sample."""
    run = get_reviewable_run(request, pk)
    count = request.POST.get("count", "")
    try:
        samples.start(run, request.user, int(count) if count.isdecimal() and len(count) < 6 else 0,
                      request.POST.get("design", ""))
    except (ConfigError, DataError) as error:
        messages.error(request, str(error))
    return redirect("spot_checks:detail", run.pk)


@require_POST
def answer(request: HttpRequest, pk: int) -> HttpResponse:
    """Take the answer for one image and show the next."""
    run = get_reviewable_run(request, pk)
    said, place = request.POST.get("answer", ""), request.POST.get("place", "")
    is_class = said.isdecimal() and len(said) < 7
    try:
        samples.answer(_current(run, request), int(place) if place.isdecimal() and len(place) < 7 else -1,
                       Verdict.NAMED if is_class else said, int(said) if is_class else None)
    except ConfigError as error:
        messages.error(request, str(error))
    return _next(request, run)


@require_POST
def undo(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask once more about the image answered last."""
    run = get_reviewable_run(request, pk)
    try:
        samples.undo(_current(run, request))
    except DataError as error:
        messages.error(request, str(error))
    return _next(request, run)


@require_POST
def adopt(request: HttpRequest, pk: int) -> HttpResponse:
    """Make corrections of the answers: the one way in which a spot check changes labels."""
    run = get_reviewable_run(request, pk)
    try:
        samples.adopt(_current(run, request), request.user)
    except DataError as error:
        messages.error(request, str(error))
    return redirect("spot_checks:detail", run.pk)


def _current(run: Run, request: HttpRequest) -> SpotCheck:
    """Return the sample that the form was shown for."""
    number = request.POST.get("spot_check", "")
    return get_object_or_404(SpotCheck.objects.select_related("run__class_list_version"), run=run,
                             pk=int(number) if number.isdecimal() and len(number) < 18 else 0)


def _next(request: HttpRequest, run: Run) -> HttpResponse:
    """Show what comes after an answer: the part that changes where the page asks for it, else the page."""
    if not request.headers.get("HX-Request"):
        return redirect("spot_checks:detail", run.pk)
    return render(request, "spot_checks/_body.html", _context(run, latest(run)))


def _context(run: Run, found: Outcome | None) -> dict[str, object]:
    """Return what the page shows."""
    context: dict[str, object] = {"run": run, "collection": run.collection, "outcome": found,
                                  "obstacle": samples.obstacle(run), "sizes": SIZES}
    if found is None:
        context |= {"images": unseen(run).count(), "are_lent": has_class_list(run)}
    elif found.is_finished:
        context |= {"others": others(found.spot_check), "is_adopted": samples.is_adopted(found.spot_check)}
    else:
        following = list(found.spot_check.sampled.filter(verdict=Verdict.OPEN).select_related("image")[:2])
        choices = samples.choices(run)
        keys = KEYS if len(choices) <= len(KEYS) else ""
        context |= {"asked": following[0], "upcoming": following[1:], "keyed": bool(keys),
                    "choices": [(index, name, keys[place] if keys else "")
                                for place, (index, name) in enumerate(choices)],
                    "unnamed": len(class_names(run)) - len(choices)}
    return context
