"""The people of a collection: who has which role, changing it, leaving."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from core.errors import DataError
from webapp.audit.trail import record
from webapp.collections.models import Collection
from webapp.collections.permissions import get_own_collection, get_visible_collection
from webapp.collections.views import frame
from webapp.sharing.models import ABILITIES, Invitation, Membership, Role


@require_GET
def people(request: HttpRequest, pk: int) -> HttpResponse:
    """Show who has a role in the collection; an owner changes it here and invites more."""
    collection = get_visible_collection(request, pk)
    members = collection.memberships.select_related("user").order_by("created_at", "pk")
    open_invitations = Invitation.objects.open().filter(collection=collection).select_related("invited_by")
    return render(request, "sharing/people.html", frame(
        collection, "people", members=members, roles=[(role, ABILITIES[role]) for role in Role],
        invitations=open_invitations.order_by("-created_at"), new_link=_take_link(request, collection)))


def _take_link(request: HttpRequest, collection: Collection) -> str | None:
    """Return the link to this collection that was made a moment ago, if there is one; it is shown this once."""
    if request.session.get("new_invitation", [None])[0] != collection.pk:
        return None
    return request.session.pop("new_invitation")[1]


@require_POST
def change(request: HttpRequest, pk: int, member: int) -> HttpResponse:
    """Give a person another role, or take the collection from them (an empty role)."""
    collection = get_own_collection(request, pk)
    membership = get_object_or_404(collection.memberships.select_related("user"), pk=member)
    role = request.POST.get("role")
    if role not in ("", *Role.values):
        messages.error(request, "Nothing was changed: choose viewer, reviewer or owner.")
        return redirect("sharing:people", pk)
    name = membership.user.get_username()
    said = f"{name} is {Role(role).label.lower()} now." if role else f"{name} has no role here any more."
    did = f"made {name} {Role(role).label.lower()}" if role else f"took the role of {membership.role} from {name}"
    return _changed(request, collection, membership, Role(role) if role else None, said, did)


@require_POST
def leave(request: HttpRequest, pk: int) -> HttpResponse:
    """Give up one's own role."""
    collection = get_visible_collection(request, pk)
    membership = collection.memberships.select_related("user").get(user=request.user)
    return _changed(request, collection, membership, None, f"You have left “{collection.name}”.", "left")


def _changed(request: HttpRequest, collection: Collection, membership: Membership, role: Role | None,
             said: str, did: str) -> HttpResponse:
    try:
        membership.change_role(role)
    except DataError as error:
        messages.error(request, f"Nothing was changed. {error}.")
        return redirect("sharing:people", collection.pk)
    record(request, collection, did)
    messages.success(request, said)
    stays = collection.memberships.filter(user=request.user).exists()
    return redirect("sharing:people", collection.pk) if stays else redirect("home")
