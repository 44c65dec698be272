"""Who may see what was tried against a run."""

from __future__ import annotations

from django.http import HttpRequest

from webapp.runs.models import Trial
from webapp.sharing.access import find
from webapp.sharing.models import Role


def get_own_trial(request: HttpRequest, pk: int) -> Trial:
    """Return a trial; the right to see it: the person made it, on a run they may still look at."""
    trials = Trial.objects.filter(owner=request.user, run__trashed_at=None).select_related(
        "run__class_list_version", "run__collection")
    return find(request, trials, pk, Role.VIEWER, through="run__collection")
