"""Pages of collections."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from webapp.collections.permissions import get_own_collection


def home(request: HttpRequest) -> HttpResponse:
    """Show one's collections."""
    return render(request, "collections/home.html", {"section": "collections", "collections": request.user.collections.all()})


def detail(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one collection."""
    return render(request, "collections/home.html", {"collection": get_own_collection(request, pk)})
