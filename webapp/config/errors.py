"""The pages of what went wrong: not allowed, not found, broken, the database away."""

from __future__ import annotations

import sys

from django.core.exceptions import DisallowedHost
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from webapp.accounts.guard import login_not_required, refusal, wants_json

UNKNOWN_HOST = ("labelfree does not answer to this name. Whoever runs it adds the name to LABELFREE_HOSTS and starts "
                "it again.")


def _answer(request: HttpRequest, status: int, title: str, advice: str) -> HttpResponse:
    """Answer in the language of whoever asked: a page for people, JSON for programs."""
    if wants_json(request):
        return refusal(status, request.path, f"{title}.", advice)
    return render(request, "error.html", {"title": title, "advice": advice, "status": status}, status=status)


@login_not_required
def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 400; the name that was asked for is not repeated, for anything may stand there."""
    said = UNKNOWN_HOST if isinstance(exception, DisallowedHost) else "This request could not be understood."
    return HttpResponse(said, status=400, content_type="text/plain")


@login_not_required
def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 403."""
    return _answer(request, 403, "Not allowed",
                   str(exception) or "This belongs to somebody else, or needs a right you do not have.")


@login_not_required
def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 404."""
    return _answer(request, 404, "Nothing here",
                   "The address is wrong, it was deleted, or it belongs to somebody else.")


@login_not_required
def broken(request: HttpRequest) -> HttpResponse:
    """Answer 500, or 503 where only the database is away: its page is then made without it."""
    if isinstance(sys.exception(), (OperationalError, InterfaceError)):
        return _database_is_away(request)
    return _answer(request, 500, "Something broke on our side",
                   "Nothing of yours is lost. Try again; if it happens again, the server's log names the reason.")


def _database_is_away(request: HttpRequest) -> HttpResponse:
    """Answer 503: the same request may work in a moment."""
    reason = "The database does not answer, or its disk is full."
    advice = ("Nothing that was stored is lost. Try again in a minute; if it stays like this, tell whoever looks after "
              "this machine.")
    response: HttpResponse = (
        refusal(503, request.path, reason, advice) if wants_json(request)
        else HttpResponse(f"{reason} {advice}", status=503, content_type="text/plain"))
    response["Retry-After"] = "5"
    return response


@login_not_required
def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer 403 where a form's proof of origin is missing or old."""
    return _answer(request, 403, "This form is too old",
                   "Go back, reload the page and send it again. Cookies must be allowed for this site.")

