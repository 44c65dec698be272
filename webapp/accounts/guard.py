"""The one door: every view asks for a sign-in unless it says `login_not_required`."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse

__all__ = ["LoginRequired", "login_not_required", "wants_json"]

PROGRAM_PATHS = ("/api/", "/uploads/")
"""Addresses that programs talk to: they are told 401, never sent to a page."""


def wants_json(request: HttpRequest) -> bool:
    """Tell whether a program, not a person, is asking."""
    return request.path_info.startswith(PROGRAM_PATHS)


class LoginRequired(LoginRequiredMiddleware):
    """Django's middleware, with an answer for programs and for parts of a page."""

    def handle_no_permission(self, request: HttpRequest, view_func: object) -> HttpResponse:
        """Refuse: 401 to a program, a full-page redirect to htmx, a redirect to a person."""
        if wants_json(request):
            response = JsonResponse({"error": {
                "what": request.path, "reason": "Nobody is signed in.",
                "fix": "Sign in, or send a token: Authorization: Bearer lf_…"}}, status=401)
            response["WWW-Authenticate"] = "Bearer"
            return response
        if request.headers.get("HX-Request"):
            return HttpResponse(status=401, headers={"HX-Redirect": reverse("sign_in")})
        return super().handle_no_permission(request, view_func)
