"""The pages of runs: starting one, watching it, its result, its review."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from core.catalog import METHODS, learns_from_labels, parse
from core.errors import ConfigError, DataError
from core.question import obstacle
from core.recommendation import recommend_method
from core.settings import describe
from webapp.audit.trail import record
from webapp.collections.models import TRASH_LIFETIME
from webapp.collections.permissions import get_own_collection
from webapp.runs import counting, deletion, figures, further, histograms, known_answers, starting
from webapp.runs import live as state
from webapp.runs.forms import RunForm
from webapp.runs.models import Run
from webapp.runs.permissions import get_own_run, get_visible_run
from webapp.runs.starting import question_of, start_again
from webapp.runs.timeline import timeline
from webapp.sharing.access import collections_of
from webapp.sharing.models import Role
from webapp.spot_checks import outcome as spot_checks
from webapp.spot_checks.population import answered_first

POINTS_A_PAGE = 2000
SETTING_ANEW = {"preset", "setting-backbone"}
"""What is sent along where a choice on the form gives its settings their first values again."""


@require_http_methods(["GET", "POST"])
def new(request: HttpRequest, pk: int) -> HttpResponse:
    """Offer the methods, the recommended one first, and start a run of the chosen one."""
    collection = get_own_collection(request, pk)
    question = question_of(collection)
    recommended = recommend_method(question)
    method = request.POST.get("method") or request.GET.get("method") or recommended.method
    if method not in METHODS:
        raise Http404("no such method")
    bound = request.POST if request.method == "POST" else None
    number = request.GET.get("from", "")
    earlier = collection.runs.filter(pk=int(number)).first() if number.isdecimal() and len(number) < 18 else None
    form = RunForm(bound, collection=collection, method=method, chosen=request.GET, earlier=earlier,
                   others=collections_of(request.user))
    run = form.start() if bound is not None else None
    if run is not None:
        record(request, collection, f"started run {run.pk}, {METHODS[run.method].title}")
        if run.baseline is not None and not run.baseline.is_terminal:
            first = METHODS[run.baseline.method].title
            messages.info(request, f"{first} runs first: it is what the result is compared with.")
        return redirect("runs:detail", run.pk)
    cards = [{"name": name, "method": one, "obstacle": obstacle(name, question), "is_chosen": name == method,
              "is_recommended": name == recommended.method} for name, one in METHODS.items()]
    cards.sort(key=lambda card: (not card["is_recommended"], card["obstacle"] is not None))
    duplicates = counting.adapted_to(collection).count() - question.num_images
    return render(request, "runs/_form.html" if request.headers.get("HX-Request") else "runs/new.html", {
        "collection": collection, "question": question, "form": form, "cards": cards, "recommended": recommended,
        "chosen": METHODS[method], "obstacle": obstacle(method, question),
        "images": counting.different_images(question.num_images, duplicates),
        "is_set_anew": "HX-Request" in request.headers and bool(SETTING_ANEW & request.GET.keys()),
        "too_few": counting.too_few(question.num_images).capitalize(),
        "learns_from_labels": learns_from_labels(parse(method, form.start_values)),
    }, status=422 if bound is not None else 200)


@require_POST
def duration(request: HttpRequest, pk: int) -> HttpResponse:
    """Say how long a run with the settings of the form would take, while they are edited.

    What is wrong with them is said when they are sent; until then the first values stand in.
    """
    collection, method = get_own_collection(request, pk), request.POST.get("method", "")
    if method not in METHODS:
        raise Http404("no such method")
    form = RunForm(request.POST, collection=collection, method=method, others=collections_of(request.user))
    form.is_valid()
    return render(request, "runs/_duration.html", {
        "collection": collection, "question": form.question, "form": form, "chosen": METHODS[method]})


@require_GET
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a run: live until it is over, then its result."""
    run = get_visible_run(request, pk)
    run.end_if_abandoned()
    context = _context(run) | {"others": further.named(run, request.user)}
    if run.is_terminal and run.role == Role.OWNER:
        context |= {"kept_for": deletion.obstacle(run), "labelled_count": deletion.count_labelled(run),
                    "named_count": spot_checks.count_named(run),
                    "trash_days": TRASH_LIFETIME.days}
    return render(request, "runs/detail.html", context)


@require_GET
def live(request: HttpRequest, pk: int) -> HttpResponse:
    """Answer the page's polling; once the run is over, ask for the whole page anew."""
    run = get_visible_run(request, pk)
    run.end_if_abandoned()
    if run.is_terminal:
        return HttpResponse(headers={"HX-Refresh": "true"})
    return render(request, "runs/_live.html", _context(run) | {"is_polled": True})


@require_GET
def points(request: HttpRequest, pk: int) -> JsonResponse:
    """Return the losses written after the point `after`, for the plot.

    `after` is a point's key, not its step: a resumed run writes some steps again, and those count.
    """
    run = get_visible_run(request, pk)
    after = request.GET.get("after", "0")
    if not after.isdecimal() or len(after) > 18:
        return JsonResponse({"error": {"what": "after", "reason": f"{after!r} is not a point's key",
                                       "fix": "send the `after` of the last answer, or 0"}}, status=400)
    found = list(run.points.filter(pk__gt=int(after)).order_by("pk").values_list("pk", "step", "terms")[:POINTS_A_PAGE])
    return JsonResponse({
        "points": [[step, terms] for _, step, terms in found], "after": found[-1][0] if found else int(after),
        "more": len(found) == POINTS_A_PAGE, "terminal": run.is_terminal})


@require_POST
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask a run to stop."""
    run = get_own_run(request, pk)
    if run.is_terminal:
        messages.info(request, f"Too late, its state is: {run.get_status_display().lower()}.")
    else:
        run.request_cancel()
        record(request, run.collection, f"cancelled run {run.pk}")
    return redirect("runs:queue") if request.POST.get("from") == "queue" else redirect("runs:detail", run.pk)


@require_POST
def pause(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask a run to stop for now."""
    run = get_own_run(request, pk)
    if run.is_terminal:
        messages.info(request, f"Too late, its state is: {run.get_status_display().lower()}.")
    else:
        run.request_pause()
        record(request, run.collection, f"paused run {run.pk}")
    return redirect("runs:detail", run.pk)


@require_POST
def resume(request: HttpRequest, pk: int) -> HttpResponse:
    """Let a run that is paused, or failed of what may work now, go on from its checkpoint."""
    run = get_own_run(request, pk)
    try:
        if starting.resume(run, collections_of(request.user)):
            record(request, run.collection, f"resumed run {run.pk}")
        else:
            messages.info(request, "This run is neither paused nor to be tried again, so there was nothing to resume.")
    except DataError as error:
        messages.error(request, str(error))
    return redirect("runs:detail", run.pk)


@require_POST
def again(request: HttpRequest, pk: int) -> HttpResponse:
    """Queue the same run once more, as a run of its own."""
    run = get_own_run(request, pk)
    try:
        new_run = start_again(run, collections_of(request.user))
    except (ConfigError, DataError) as error:
        messages.error(request, str(error))
        return redirect("runs:detail", run.pk)
    record(request, run.collection, f"started run {run.pk} again, as run {new_run.pk}")
    return redirect("runs:detail", new_run.pk)


@require_GET
def review(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the review panel of a finished run inside the product's own page."""
    run = get_visible_run(request, pk)
    if run.status != Run.Status.SUCCEEDED:
        messages.info(request, "There is something to review once the run has succeeded.")
        return redirect("runs:detail", run.pk)
    return render(request, "runs/review.html", {
        "run": run, "collection": run.collection, "method": METHODS.get(run.method),
        "panel": _panel_address(request, run)})


def _panel_address(request: HttpRequest, run: Run) -> str:
    """Return where the panel shows this run; it is mounted beside Django, so its address is no URL name."""
    tab = "&tab=try" if request.GET.get("tab") == "try" else ""
    return f"{reverse('home').rstrip('/')}/panel/?run={run.pk}{tab}"


def _context(run: Run) -> dict[str, object]:
    """Return what the pages of one run show, from rows alone."""
    context: dict[str, object] = {
        "run": run, "collection": run.collection, "method": METHODS.get(run.method), "steps": timeline(run),
        "histogram": histograms.histogram(run), "settings": _settings(run), "has_points": run.points.exists(),
        "place": state.place(run), "worker_notice": state.worker_notice(run)}
    if not run.is_terminal:
        first = answered_first(run)
        context |= {"samples": state.samples(run), "alarm": state.alarm(run), "answered_first": first,
                    "check_of_first": spot_checks.latest(first) if first else None}
    if run.status == Run.Status.SUCCEEDED:
        checked = spot_checks.standing(run)
        known = known_answers.beside_baseline(run)
        different = sum(run.result.get("histogram") or [])
        context |= {"headline": figures.headline(run, checked, known.images if known else None), "spot_check": checked,
                    "different": different, "known": known, "outdone": figures.outdone(run),
                    "images": counting.different_images(different, counting.count_duplicates(run)),
                    "latest_check": spot_checks.latest(run),
                    "objection": figures.objection(run, checked), "estimated": figures.estimated(run),
                    "estimated_baseline": figures.estimated(run.baseline) if run.baseline else None,
                    "score": figures.score(run), "measures": figures.measures(run),
                    "measured_note": figures.measured_note(run), "held_out_measures": figures.measures(run, "held_out"),
                    "confidence_columns": histograms.confidence_columns(run), "suggested": figures.suggested_names(run),
                    "pictures": figures.pictures(run)}
    return context


def _settings(run: Run) -> list[tuple[str, object]]:
    """Return the run's settings by their labels, as it was started with."""
    known = describe(METHODS[run.method].settings) if run.method in METHODS else {}
    return [(known[name].label if name in known else name, value) for name, value in run.settings.items()]
