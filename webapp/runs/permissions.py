"""Who may do what with a run."""

from __future__ import annotations

from django.http import HttpRequest
from django.shortcuts import get_object_or_404

from webapp.runs.models import Run


def get_own_run(request: HttpRequest, pk: int) -> Run:
    """Return the run if the person owns its collection; else 404, as if it did not exist."""
    return get_object_or_404(
        Run.objects.select_related("collection", "baseline", "class_list_version__class_list"),
        pk=pk, collection__owner=request.user)
