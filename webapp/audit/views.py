"""The history of a collection, for its owners."""

from __future__ import annotations

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from webapp.audit.trail import history
from webapp.collections.permissions import get_own_collection
from webapp.collections.views import frame

ROWS_A_PAGE = 100


@require_GET
def index(request: HttpRequest, pk: int) -> HttpResponse:
    """Show who did what, the newest first."""
    collection = get_own_collection(request, pk)
    page = Paginator(history(collection), ROWS_A_PAGE).get_page(request.GET.get("page"))
    return render(request, "audit/history.html", frame(collection, "settings", page=page))
