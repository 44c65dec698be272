"""What Django's own security middleware leaves out: the policies of what a page may load, run and ask for."""

from __future__ import annotations

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
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        response.headers.setdefault("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
        if "text/html" in response.get("Content-Type", ""):
            response.headers.setdefault("Cache-Control", "no-store")
        return response
