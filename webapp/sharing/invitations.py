"""Invitations: an owner makes a link; who opens it joins, with the account they have or a new one."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from webapp.accounts.forms import NAME_TAKEN, NewUserForm
from webapp.accounts.guard import login_not_required
from webapp.accounts.models import digest
from webapp.accounts.views import BACKEND
from webapp.audit.trail import record, record_for
from webapp.collections.permissions import get_own_collection
from webapp.sharing.models import ABILITIES, Invitation, Role


@require_POST
def invite(request: HttpRequest, pk: int) -> HttpResponse:
    """Make an invitation; its link is shown on the next page and never again."""
    collection = get_own_collection(request, pk)
    role = request.POST.get("role", "")
    if role not in Role.values:
        messages.error(request, "No invitation was made: choose viewer, reviewer or owner.")
    else:
        secret = Invitation.objects.issue(collection, Role(role), request.user)
        record(request, collection, f"made an invitation for a {Role(role).label.lower()}")
        link = request.build_absolute_uri(reverse("sharing:accept", args=[secret]))
        request.session["new_invitation"] = [pk, link]
    return redirect("sharing:people", pk)


@require_POST
def withdraw(request: HttpRequest, pk: int, invitation: int) -> HttpResponse:
    """Take an invitation back; its link opens nothing any more."""
    collection = get_own_collection(request, pk)
    get_object_or_404(collection.invitations.filter(used_at=None), pk=invitation).delete()
    record(request, collection, "withdrew an invitation")
    messages.success(request, "The invitation is withdrawn: its link opens nothing any more.")
    return redirect("sharing:people", pk)


@login_not_required
@never_cache
@sensitive_post_parameters("password1", "password2")
@require_http_methods(["GET", "POST"])
def accept(request: HttpRequest, secret: str) -> HttpResponse:
    """Say what the invitation is to, and take it: looking at it does not spend it."""
    invitation = (Invitation.objects.open().select_related("collection", "invited_by")
                  .filter(digest=digest(secret)).first())
    if invitation is None:
        return render(request, "sharing/spent.html", status=410)
    form = None if request.user.is_authenticated else NewUserForm(request.POST or None)
    if request.method == "POST" and form is None:
        return _join(request, invitation, request.user)
    if request.method == "POST" and form.is_valid():
        try:
            return _join(request, invitation, form.save(commit=False))
        except IntegrityError:  # somebody else took the name a moment ago
            form.add_error("username", NAME_TAKEN)
    return render(request, "sharing/accept.html", {
        "invitation": invitation, "form": form, "ability": ABILITIES[Role(invitation.role)]},
        status=422 if request.method == "POST" else 200)


def _join(request: HttpRequest, invitation: Invitation, user: User) -> HttpResponse:
    """Spend the invitation on a person, and sign in who is new."""
    if not invitation.accept(user):
        return render(request, "sharing/spent.html", status=410)
    if invitation.collection:
        inviter = invitation.invited_by or "the server's shell"
        record_for(user, invitation.collection, f"joined by the invitation of {inviter}")
    if not request.user.is_authenticated:
        login(request, user, backend=BACKEND)
    return redirect("collections:images", invitation.collection_id) if invitation.collection else redirect("home")
