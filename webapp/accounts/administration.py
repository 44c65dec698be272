"""The page of all accounts, for administrators: who may sign in, what they keep, and who takes it over."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from core.errors import DataError
from webapp.accounts import activation
from webapp.accounts.activation import is_administrator
from webapp.accounts.handing_over import hand_over
from webapp.audit.trail import record, record_account
from webapp.collections.room import shares

ACCOUNTS_A_PAGE = 50
HEIRS_OFFERED = 500
View = Callable[..., HttpResponse]


def for_administrators(view: View) -> View:
    """Refuse everybody else (403)."""
    @wraps(view)
    def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        if not is_administrator(request.user):
            raise PermissionDenied("This takes an administrator of the installation.")
        return view(request, *args, **kwargs)

    return guarded


@for_administrators
@require_GET
def accounts(request: HttpRequest) -> HttpResponse:
    """List every account by name, those who may sign in first."""
    found = (User.objects.annotate(owned=Count("collections")).select_related("notice_settings")
             .order_by("-is_active", "username"))
    page = Paginator(found, ACCOUNTS_A_PAGE).get_page(request.GET.get("page"))
    used = shares(account.pk for account in page.object_list)
    heirs = User.objects.filter(is_active=True).order_by("username").values_list("username", flat=True)
    return render(request, "accounts/accounts.html", {
        "section": "account", "page": page, "rows": [(account, used[account.pk]) for account in page.object_list],
        "heirs": heirs[:HEIRS_OFFERED]})


@for_administrators
@require_POST
def deactivate(request: HttpRequest, pk: int) -> HttpResponse:
    """Close an account."""
    account = get_object_or_404(User, pk=pk)
    try:
        activation.deactivate(account, request.user)
    except DataError as error:
        messages.error(request, f"Nothing was changed: {error.file} {error.reason}.")
        return redirect("accounts")
    record_account(request.user, f"deactivated the account {account}")
    record_account(account, f"was deactivated by {request.user}")
    messages.success(request, f"{account} is signed out everywhere and cannot sign in. What is theirs stays, and their "
                              "runs go on.")
    return redirect("accounts")


@for_administrators
@require_POST
def activate(request: HttpRequest, pk: int) -> HttpResponse:
    """Open an account again."""
    account = get_object_or_404(User, pk=pk)
    activation.activate(account)
    record_account(request.user, f"activated the account {account}")
    record_account(account, f"was activated by {request.user}")
    messages.success(request, f"{account} can sign in again, and their tokens open what they opened.")
    return redirect("accounts")


@for_administrators
@require_POST
def give_collections(request: HttpRequest, pk: int) -> HttpResponse:
    """Hand the collections of an account that was deactivated over to another."""
    account = get_object_or_404(User, pk=pk)
    heir = _heir(request.POST.get("heir", "").strip())
    if account.is_active:
        messages.error(request, f"Nothing was changed: {account} can sign in, and shares what is theirs.")
    elif heir is None:
        messages.error(request, "Nothing was changed: no account that can sign in has this name.")
    else:
        given = hand_over(account, heir)
        for collection in given:
            record(request, collection, f"handed it over from {account} to {heir}")
        many = f"{len(given):,} collection{'' if len(given) == 1 else 's'}"
        record_account(account, f"{many} handed over to {heir} by {request.user}")
        record_account(heir, f"was given {many} of {account} by {request.user}")
        messages.success(request, f"Handed over to {heir}: {many}, in whose quota they count from now on.")
    return redirect("accounts")


def _heir(name: str) -> User | None:
    """Return who can sign in by a name; nobody has one with a NUL, which Postgres cannot even look for."""
    return None if "\0" in name else User.objects.filter(username=name, is_active=True).first()
