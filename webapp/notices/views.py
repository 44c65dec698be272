"""The page on which a person says how to hear of their runs, and sees what was sent."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from webapp.audit.trail import record_account
from webapp.notices.forms import NoticeForm
from webapp.notices.models import NoticeSettings, new_secret

SHOWN_NOTICES = 20


@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest) -> HttpResponse:
    """Show and store one's own choice."""
    wanted = NoticeSettings.objects.filter(user=request.user).first() or NoticeSettings(user=request.user)
    form = NoticeForm(request.POST or None, instance=wanted)
    if request.method == "POST" and form.is_valid():
        form.save()
        _record_changes(request, form)
        is_told = form.instance.webhook_url or form.instance.email
        messages.success(request, "Saved. The next run of yours that succeeds or fails is told there." if is_told else
                         "Saved. No address is left, so nothing is told of your runs.")
        return redirect("notices:edit")
    recent = request.user.notices.filter(run__trashed_at=None).select_related("run__collection").order_by("-pk")
    return render(request, "notices/edit.html",
                  {"section": "account", "form": form, "wanted": wanted, "recent": recent[:SHOWN_NOTICES]},
                  status=422 if request.method == "POST" else 200)


@require_POST
def renew_secret(request: HttpRequest) -> HttpResponse:
    """Sign with a new secret from now on."""
    if NoticeSettings.objects.filter(user=request.user).update(webhook_secret=new_secret()):
        record_account(request.user, "renewed the webhook's secret")
        messages.success(request, "There is a new secret. Receivers need it from now on.")
    return redirect("notices:edit")


def _record_changes(request: HttpRequest, form: NoticeForm) -> None:
    """Note new addresses; of a webhook's only the host, for its path may be a secret."""
    if "webhook_url" in form.changed_data:
        host = urlsplit(form.cleaned_data["webhook_url"]).hostname
        record_account(request.user, f"set the webhook address to {host}" if host else "removed the webhook address")
    if "email" in form.changed_data:
        email = form.cleaned_data["email"]
        record_account(request.user, f"set the e-mail address to {email}" if email else "removed the e-mail address")
