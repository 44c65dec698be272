"""Every address of the application. The Gradio panel is mounted beside it, in `webapp.config.asgi`."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

from webapp.accounts.urls import urlpatterns as accounts
from webapp.collections.urls import urlpatterns as collections

urlpatterns: list[URLPattern | URLResolver] = [
    *accounts,
    *collections,
    path("", include("webapp.sharing.urls")),
    path("", include("webapp.audit.urls")),
    path("", include("webapp.runs.urls")),
    path("", include("webapp.review.urls")),
    path("", include("webapp.spot_checks.urls")),
    path("", include("webapp.health.urls")),
    path("", include("webapp.notices.urls")),
    path("api/v1/", include("webapp.api.urls")),
]

handler400 = "webapp.config.errors.bad_request"
handler403 = "webapp.config.errors.forbidden"
handler404 = "webapp.config.errors.not_found"
handler500 = "webapp.config.errors.broken"
