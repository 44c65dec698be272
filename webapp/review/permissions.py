"""Who may see what was tried against a run."""

from __future__ import annotations

from django.http import HttpRequest
from django.shortcuts import get_object_or_404

from webapp.runs.models import Trial


def get_own_trial(request: HttpRequest, pk: int) -> Trial:
    """Return the trial if the person made it on a run that is still theirs; else 404, as if it did not exist."""
    return get_object_or_404(
        Trial.objects.select_related("run__class_list_version", "run__collection"),
        pk=pk, owner=request.user, run__collection__owner=request.user)
