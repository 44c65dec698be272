"""Three addresses for whoever looks after the machine: is it up, is it ready, what are its figures."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from webapp.accounts.guard import login_not_required, refusal
from webapp.health.metrics import exposition
from webapp.health.readiness import OK, readiness


@login_not_required
@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Say that this process answers; asks nothing of any other."""
    return HttpResponse("ok\n", content_type="text/plain")


@login_not_required
@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Say whether all that work needs is there, and what is missing: 200 or 503. Open to nobody's harm: no figures."""
    parts = readiness()
    is_ready = all(state == OK for state in parts.values())
    return JsonResponse({"ready": is_ready, **parts}, status=200 if is_ready else 503)


@login_not_required  # Prometheus has no session: it sends an administrator's token
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """Give the figures to an administrator, by session or by token."""
    if not request.user.is_authenticated:
        return refusal(401, "metrics", "Nobody is signed in.",
                       "Send an administrator's token: Authorization: Bearer lf_…")
    if not request.user.is_staff:
        return refusal(403, "metrics", "These figures are of everybody's work.", "Ask an administrator for a token.")
    return HttpResponse(exposition(), content_type=CONTENT_TYPE_LATEST)
