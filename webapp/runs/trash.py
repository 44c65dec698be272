"""Deleting a run, restoring it and deleting it for good; what is in the trash stands on the page of the trash."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from core.errors import DataError
from webapp.audit.trail import record
from webapp.runs.deletion import delete_run, restore_run, trash_run
from webapp.runs.permissions import get_own_run, get_trashed_run


@require_POST
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Put a run into the trash; the next page of the collection's runs offers to undo it."""
    run = get_own_run(request, pk)
    try:
        trash_run(run)
    except DataError as error:
        messages.error(request, f"Nothing was deleted. {error.file.capitalize()} {error.reason}.")
        return redirect("runs:detail", pk)
    record(request, run.collection, f"moved run {pk} to the trash")
    request.session["trashed_run"] = pk
    return redirect("collections:runs", run.collection_id)


@require_POST
def restore(request: HttpRequest, pk: int) -> HttpResponse:
    """Take a run out of the trash."""
    run = get_trashed_run(request, pk)
    if not restore_run(run):
        messages.info(request, f"Too late, run {pk} is gone for good.")
        return redirect("collections:runs", run.collection_id)
    record(request, run.collection, f"restored run {pk} from the trash")
    messages.success(request, f"Run {pk} is back, with its answers, its model and what people said in its review.")
    return redirect("runs:detail", pk)


@require_POST
def delete_for_good(request: HttpRequest, pk: int) -> HttpResponse:
    """Delete a run that is in the trash for good."""
    run = get_trashed_run(request, pk)
    try:
        delete_run(run)
    except DataError as error:
        messages.error(request, f"Nothing was deleted. {error.file.capitalize()} {error.reason}.")
    else:
        record(request, run.collection, f"deleted run {pk} for good")
        messages.success(request, f"Run {pk} is deleted for good, and what it held on disk is free.")
    return redirect("collections:trash")
