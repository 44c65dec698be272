"""Views that the panel's islands of script talk to: the map's points and *try an image*.

A picture that is tried never passes through Gradio, whose upload folder is open to every user.
"""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from core.errors import DataError
from webapp.collections import ingest
from webapp.collections.receiving import clean_name
from webapp.collections.tables import sent_table
from webapp.collections.tus import Refused
from webapp.config.files import file_response
from webapp.review import imported, trying
from webapp.review.names import class_names, name_at
from webapp.review.permissions import get_own_trial
from webapp.review.queries import version, with_standing
from webapp.runs.models import Run, Trial
from webapp.runs.permissions import get_reviewable_run, get_visible_run, get_visible_run_number
from webapp.runs.presence import is_present
from workers.app import send

MAP_UNITS = 4095
"""Places on the map are sent as whole numbers 0 … 4095, a third of the bytes of decimals."""
TRIAL_BYTES = 16 * 1024 * 1024
TRIALS_WAITING = 20
"""A person's trials that may wait for an answer at once."""
NAME_CHARACTERS = 200
DISK_FULL = "The server's disk is full, so the picture was not kept. Free some space, then try again."


@require_GET
@never_cache
def standing_version(request: HttpRequest, pk: int) -> HttpResponse:
    """Answer the panel's polling: it draws anew when this is not what it shows. One of Gradio's events costs more."""
    return HttpResponse(version(get_visible_run_number(request, pk)), content_type="text/plain")


@require_GET
@never_cache
def map_points(request: HttpRequest, pk: int) -> JsonResponse:
    """Return the run's embedding map as columns: image ids, places, standing classes, who answered."""
    run = get_visible_run(request, pk)
    ids, xs, ys, classes, by_person = [], [], [], [], []
    rows = with_standing(run).values_list("image_id", "map_x", "map_y", "standing", "corrected").order_by("pk")
    for image_id, x, y, standing, corrected in rows.iterator(chunk_size=5000):
        ids.append(image_id)
        xs.append(round(min(max(x, 0.0), 1.0) * MAP_UNITS))
        ys.append(round(min(max(y, 0.0), 1.0) * MAP_UNITS))
        classes.append(standing)
        by_person.append(int(corrected is not None))
    return JsonResponse({"names": class_names(run), "ids": ids, "x": xs, "y": ys, "classes": classes,
                         "by_person": by_person, "units": MAP_UNITS})


@require_POST
def import_labels(request: HttpRequest, pk: int) -> HttpResponse:
    """Take labels from a CSV as corrections, and show the review with them."""
    run = get_reviewable_run(request, pk)
    try:
        found = imported.correct_listed(run, request.user, *sent_table(request, imported.FILE))
    except DataError as error:
        messages.error(request, str(error))
        return redirect("runs:review", run.pk)
    messages.success(request, f"{found.labelled:,} image{'s have' if found.labelled > 1 else ' has'} your label now; "
                              "Undo takes it back.")
    if found.unknown_path_count:
        messages.warning(request, f"{found.unknown_path_count:,} lines of the file name no image of this collection, "
                                  f"for example {found.unknown_paths[0]}.")
    if found.models_own:
        messages.info(request, f"{found.models_own:,} lines were left out: they are a model's answers, by the file's "
                               f"column {imported.SOURCE}.")
    return redirect("runs:review", run.pk)


@require_http_methods(["GET", "POST"])
@never_cache
def trials(request: HttpRequest, pk: int) -> HttpResponse:
    """Show what was tried against a run; on POST, store one picture and ask a worker about it."""
    run = get_visible_run(request, pk)
    refusal = ""
    if request.method == "POST":
        refusal = _try(request, run)
    recent = Trial.objects.filter(run=run, owner=request.user).order_by("-pk")[:trying.SHOWN]
    names = class_names(run)
    return render(request, "review/trials.html", {
        "run": run, "refusal": refusal, "trials": [_answered(trial, names) for trial in recent],
    }, status=422 if refusal else 200)


@require_GET
@never_cache
def trial(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one trial: asked, answered or failed."""
    one = get_own_trial(request, pk)
    return render(request, "review/trial.html", _answered(one, class_names(one.run)))


@require_GET
def trial_image(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Send the picture that was tried: always the thumbnail that was made of it, never the bytes that came."""
    one = get_own_trial(request, pk)
    if one.status != Trial.Status.ANSWERED:
        raise Http404("there is no thumbnail of it")
    return file_response(request, settings.MEDIA_ROOT / one.file, immutable=True)


def _try(request: HttpRequest, run: Run) -> str:
    """Store the picture and enqueue the question; return why not, or ""."""
    sent = request.FILES.get("image")
    if not isinstance(sent, UploadedFile):
        return "No picture came with the form: choose one."
    if run.status != Run.Status.SUCCEEDED:
        return "This run has no model to ask: it did not finish."
    if sent.size is None or sent.size > TRIAL_BYTES:
        return f"{sent.name}: larger than {TRIAL_BYTES // 2**20} MB; send a smaller copy."
    if Trial.objects.filter(owner=request.user, status=Trial.Status.ASKED).count() >= TRIALS_WAITING:
        return f"{TRIALS_WAITING} pictures wait for an answer already: wait for a worker first."
    try:
        asked = trying.ask(run, request.user, clean_name(sent.name or "picture")[-NAME_CHARACTERS:], sent.read())
    except Refused:
        return DISK_FULL
    except OSError as error:
        if error.errno not in ingest.NO_ROOM:
            raise
        return DISK_FULL
    transaction.on_commit(lambda: send("workers.tasks.answer_trial", asked.pk, "trial"))
    return ""


def _answered(one: Trial, names: tuple[str, ...]) -> dict[str, object]:
    top = [{"name": name_at(names, index), "percent": 100 * probability}
           for index, probability in one.top]
    waits = one.status == Trial.Status.ASKED
    return {"trial": one, "top": top, "waits": waits, "no_worker": waits and not is_present("trial")}
