"""The one door: every view asks for a sign-in unless it says `login_not_required`."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit

from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

__all__ = ["LoginRequired", "login_not_required", "refusal", "wants_json"]

PROGRAM_PATHS = ("/api/", "/uploads/")
"""Addresses that programs talk to: they are told 401, never sent to a page."""


def wants_json(request: HttpRequest) -> bool:
    """Tell whether a program, not a person, is asking."""
    return request.path_info.startswith(PROGRAM_PATHS)


def refusal(status: int, what: str, reason: str, fix: str) -> JsonResponse:
    """Answer a program in the API's way of saying what is wrong."""
    response = JsonResponse({"error": {"what": what, "reason": reason, "fix": fix}}, status=status)
    if status == 401:
        response["WWW-Authenticate"] = "Bearer"
    return response


class LoginRequired(LoginRequiredMiddleware):
    """Django's middleware, with an answer for programs and for parts of a page."""

    def handle_no_permission(self, request: HttpRequest, view_func: object) -> HttpResponse:
        """Refuse: 401 to a program, a full-page redirect to htmx, a redirect to a person."""
        if wants_json(request):
            return refusal(401, request.path, "Nobody is signed in.",
                           "Sign in, or send a token: Authorization: Bearer lf_…")
        if request.headers.get("HX-Request"):
            back = {"next": page} if (page := _page_of(request)) else {}
            address = f"{reverse('sign_in')}?{urlencode({**back, 'ended': 1}, safe='/')}"
            return HttpResponse(status=401, headers={"HX-Redirect": address})
        return super().handle_no_permission(request, view_func)


def _page_of(request: HttpRequest) -> str:
    """Return the address, within this house, of the page that asks for a part of itself; "" where that is not told."""
    told = request.headers.get("HX-Current-URL", "")
    if not url_has_allowed_host_and_scheme(told, allowed_hosts={request.get_host()}):
        return ""
    parts = urlsplit(told)
    page = f"{parts.path}?{parts.query}" if parts.query else parts.path
    return page if url_has_allowed_host_and_scheme(page, allowed_hosts=None) else ""
