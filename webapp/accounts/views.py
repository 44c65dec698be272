"""Signing in and out, links that sign in once, and one's own account."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import authenticate, login, logout
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from webapp.accounts import rate_limit
from webapp.accounts.forms import NewUserForm, SignInForm, TokenForm
from webapp.accounts.guard import login_not_required
from webapp.accounts.models import ApiToken, SignInLink, digest
from webapp.audit.trail import account_history, record_account

BACKEND = settings.AUTHENTICATION_BACKENDS[0]
ENTRIES_SHOWN = 20


def _safe(request: HttpRequest, address: str) -> str:
    """Return `address` if it stays in the house, else the first page."""
    if url_has_allowed_host_and_scheme(address, allowed_hosts=None) and not address.startswith("//"):
        return address
    return reverse("home")


@login_not_required
@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """Ask for name and password; go on to where the person was heading."""
    next_url = _safe(request, request.POST.get("next") or request.GET.get("next", ""))
    if request.user.is_authenticated:
        return redirect(next_url)
    form = SignInForm(request.POST or None)
    status = 200
    if request.method == "POST" and form.is_valid():
        name = form.cleaned_data["user_name"]
        if not rate_limit.admits(request, name):
            form.add_error(None, "Too many tries. Wait five minutes, then try again.")
            status = 429
        elif user := authenticate(request, username=name, password=form.cleaned_data["password"]):
            rate_limit.forget(request, name)
            login(request, user)
            record_account(user, f"signed in with the password, from {request.META.get('REMOTE_ADDR', '')}")
            return redirect(next_url)
        else:
            form.add_error(None, "This name and password do not belong together.")
            status = 403
    first_run = not User.objects.exists()
    return render(request, "accounts/sign_in.html", {
        "form": form, "next": next_url, "first_run": first_run, "has_ended": "ended" in request.GET}, status=status)


@login_not_required
@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session."""
    logout(request)
    return redirect("sign_in")


@login_not_required
@never_cache
@sensitive_post_parameters("password1", "password2")
@require_http_methods(["GET", "POST"])
def sign_in_link(request: HttpRequest, secret: str) -> HttpResponse:
    """Open a link that works once: sign its user in, or ask for the first administrator."""
    link = SignInLink.objects.filter(digest=digest(secret), used_at=None, expires_at__gt=timezone.now()).first()
    if link is None or (link.user is None and User.objects.exists()) or (link.user and not link.user.is_active):
        return render(request, "accounts/link_spent.html", status=410)
    if link.user is None:
        return _first_administrator(request, link)
    return _use(request, link, link.user)


def _first_administrator(request: HttpRequest, link: SignInLink) -> HttpResponse:
    form = NewUserForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        user = form.save(commit=False)
        user.is_staff = user.is_superuser = True
        return _use(request, link, user)
    return render(request, "accounts/first_run.html", {"form": form},
                  status=422 if request.method == "POST" else 200)


def _use(request: HttpRequest, link: SignInLink, user: User) -> HttpResponse:
    """Spend the link; only one of two requests that come at once gets through."""
    with transaction.atomic():
        if not SignInLink.objects.filter(pk=link.pk, used_at=None).update(used_at=timezone.now()):
            return render(request, "accounts/link_spent.html", status=410)
        if user.pk is None:
            user.save()
    login(request, user, backend=BACKEND)
    record_account(user, f"signed in by a link, from {request.META.get('REMOTE_ADDR', '')}")
    return redirect(_safe(request, link.next_url))


@require_GET
def account(request: HttpRequest) -> HttpResponse:
    """Show one's name, one's API tokens, and what happened to the account lately."""
    return _account(request, TokenForm(), request.session.pop("new_token", None))


def _account(request: HttpRequest, form: TokenForm, new_secret: str | None = None) -> HttpResponse:
    return render(request, "accounts/account.html", {
        "form": form, "tokens": request.user.api_tokens.order_by("-created_at"), "new_secret": new_secret,
        "entries": account_history(request.user)[:ENTRIES_SHOWN]}, status=422 if form.is_bound else 200)


@require_POST
def create_token(request: HttpRequest) -> HttpResponse:
    """Make a token; its secret is shown on the next page and never again."""
    form = TokenForm(request.POST)
    if not form.is_valid():
        return _account(request, form)
    token, request.session["new_token"] = ApiToken.issue(
        request.user, form.cleaned_data["name"], form.cleaned_data["scopes"], form.lifetime)
    record_account(request.user, f"made the token “{token.name}”: {', '.join(token.scopes)}")
    return redirect("account")


@require_POST
def revoke_token(request: HttpRequest, pk: int) -> HttpResponse:
    """Take a token back; programs that use it are refused from now on."""
    token = get_object_or_404(ApiToken, pk=pk, user=request.user)
    token.delete()
    record_account(request.user, f"revoked the token “{token.name}”")
    messages.success(request, f"The token “{token.name}” no longer opens anything.")
    return redirect("account")
