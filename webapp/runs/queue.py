"""The page of everybody's runs that are not over: who is being worked on, who waits, and in which order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from webapp.audit.trail import record
from webapp.runs import presence
from webapp.runs.models import ENDS, Run
from webapp.runs.permissions import get_own_run, may_hurry, own_runs, visible_runs

SHOWN_WAITING = 200
Priority = Run.Priority


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One run in the queue, as one person sees it.

    Attributes:
        run: where it is not visible, only its state, its progress and its place may be shown.
        is_visible: whether the person has a role in its collection.
        is_own: whether they may change its place and stop it.
        position: 1 is first of those that run, or of those that wait.
        sooner, later: the priority one step up and down, where the person may set it.
    """

    run: Run
    is_visible: bool
    is_own: bool
    position: int
    sooner: Priority | None = None
    later: Priority | None = None


@require_GET
def queue(request: HttpRequest) -> HttpResponse:
    """Show what runs and what waits on this installation; fetched again and again while it is looked at."""
    running = Run.objects.filter(status=Run.Status.RUNNING).order_by("started_at", "pk").select_related("collection")
    waiting = Run.objects.queued().select_related("collection")
    context = {
        "section": "queue", "running": _entries(request, running),
        "waiting": _entries(request, waiting[:SHOWN_WAITING]), "waiting_count": waiting.count(),
        "paused": own_runs(request).filter(status=Run.Status.PAUSED).select_related("collection").order_by("pk"),
        "workers": presence.present("gpu")}
    return render(request, "runs/_queue.html" if request.headers.get("HX-Request") else "runs/queue.html", context)


@require_POST
def prioritise(request: HttpRequest, pk: int) -> HttpResponse:
    """Let a waiting run go sooner or later; before everybody else's only where an administrator says so."""
    run = get_own_run(request, pk)
    waits = Run.objects.queued().filter(pk=run.pk)
    wanted = {str(one.value): one for one in Priority}.get(request.POST.get("priority", ""))
    if wanted is None:
        messages.error(request, "Nothing was changed: the page sent no priority. Load it again.")
    elif wanted > Priority.NORMAL and not may_hurry(request):
        messages.error(request, "Only an administrator may put a run before everybody else's.")
    elif not waits.update(priority=wanted):
        messages.info(request, f"Run {pk} waits no longer, so its place cannot change.")
    else:
        record(request, run.collection, f"gave run {pk} {wanted.label.lower()} priority")
    return redirect("runs:queue")


def _entries(request: HttpRequest, runs: Iterable[Run]) -> list[Entry]:
    """Return runs that are not over, in their order, as the person may see them."""
    highest = Priority.HIGH if may_hurry(request) else Priority.NORMAL
    visible, own = (set(some.exclude(status__in=ENDS).values_list("pk", flat=True))
                    for some in (visible_runs(request), own_runs(request)))
    return [Entry(
        run=run, is_visible=run.pk in visible, is_own=run.pk in own, position=position,
        sooner=Priority(run.priority + 1) if run.pk in own and run.priority < highest else None,
        later=Priority(run.priority - 1) if run.pk in own and run.priority > Priority.LOW else None,
    ) for position, run in enumerate(runs, start=1)]
