"""The pages of what went wrong: not allowed, not found, broken."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from webapp.accounts.guard import login_not_required, refusal, wants_json


def _answer(request: HttpRequest, status: int, title: str, advice: str) -> HttpResponse:
    """Answer in the language of whoever asked: a page for people, JSON for programs."""
    if wants_json(request):
        return refusal(status, request.path, f"{title}.", advice)
    return render(request, "error.html", {"title": title, "advice": advice, "status": status}, status=status)


@login_not_required
def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 400."""
    return HttpResponse("This request could not be understood.", status=400, content_type="text/plain")


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
    """Answer 500."""
    return _answer(request, 500, "Something broke on our side",
                   "Nothing of yours is lost. Try again; if it happens again, the server's log names the reason.")


@login_not_required
def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer 403 where a form's proof of origin is missing or old."""
    return _answer(request, 403, "This form is too old",
                   "Go back, reload the page and send it again. Cookies must be allowed for this site.")

