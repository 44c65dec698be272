"""From an address to a run: each function is named for the right it grants."""

from __future__ import annotations

from django.db.models import QuerySet
from django.http import HttpRequest

from webapp.config.prepared import prepared
from webapp.runs.deletion import trashed_runs
from webapp.runs.models import Run
from webapp.sharing.access import collections_of, find, first_granted, seen_by
from webapp.sharing.models import Role


def get_visible_run(request: HttpRequest, pk: int) -> Run:
    """Return a run; the right to watch it, read its result and download it."""
    return _find(request, pk, Role.VIEWER)


def get_visible_run_number(request: HttpRequest, pk: int) -> int:
    """Return a run's number, without its row; the same right."""
    return first_granted(_number(request.user.pk, pk), Role.VIEWER).pk


def get_reviewable_run(request: HttpRequest, pk: int) -> Run:
    """Return a run; the right to confirm and correct its answers and to spot check it."""
    return _find(request, pk, Role.REVIEWER)


def get_own_run(request: HttpRequest, pk: int) -> Run:
    """Return a run; the right to do everything with it."""
    return _find(request, pk, Role.OWNER)


def get_trashed_run(request: HttpRequest, pk: int) -> Run:
    """Return a run in the trash; the right to restore it or delete it for good."""
    return find(request, trashed_runs(), pk, Role.OWNER, through="collection")


def own_trashed_runs(request: HttpRequest) -> QuerySet[Run]:
    """Return the runs in the trash that the person may restore, of collections that are not there too."""
    return trashed_runs().filter(collection__in=collections_of(request.user, Role.OWNER))


def own_runs(request: HttpRequest) -> QuerySet[Run]:
    """Return the runs with which the person may do everything."""
    return Run.objects.filter(collection__in=collections_of(request.user, Role.OWNER))


def visible_runs(request: HttpRequest) -> QuerySet[Run]:
    """Return the runs of which the person may know more than that they are there."""
    return Run.objects.filter(collection__in=collections_of(request.user))


def may_hurry(request: HttpRequest) -> bool:
    """Tell whether the person may put a run before everybody else's."""
    return request.user.is_staff


def _find(request: HttpRequest, pk: int, least: Role) -> Run:
    run = first_granted(_run(request.user.pk, pk), least)
    run.collection.role = run.role  # pages of a run show its collection's actions too
    return run


@prepared
def _run(user: int, pk: int, /) -> QuerySet[Run]:
    runs = Run.objects.filter(pk=pk).select_related("collection", "baseline", "class_list_version__class_list")
    return seen_by(user, runs, through="collection")


@prepared
def _number(user: int, pk: int, /) -> QuerySet[Run]:
    return seen_by(user, Run.objects.filter(pk=pk).only("pk"), through="collection")
