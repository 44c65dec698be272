"""Headers that keep a page from loading, running or being framed by anything that is not ours."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.deprecation import MiddlewareMixin

POLICY = "; ".join([
    "default-src 'self'",
    "img-src 'self' data: blob:",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'self'",
])
PANEL_POLICY = "; ".join([
    "default-src 'self'",
    "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data: blob:",
    "font-src 'self' data:",
    "connect-src 'self' blob: data:",
    "object-src 'none'",
    "base-uri 'self'",
    "form-action 'self'",
    "frame-ancestors 'self'",
])
"""Gradio writes its pages with inline scripts and styles; nothing of it may leave the house all the same."""


class SecurityHeaders(MiddlewareMixin):
    """Adds the headers to every answer that has not set its own."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """Set what is not set."""
        response.headers.setdefault("Content-Security-Policy", POLICY)
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("X-Frame-Options", "SAMEORIGIN")
        response.headers.setdefault("Referrer-Policy", "same-origin")
        response.headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        response.headers.setdefault("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
        if settings.TLS:
            response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
        if "text/html" in response.get("Content-Type", ""):
            response.headers.setdefault("Cache-Control", "no-store")
        return response
