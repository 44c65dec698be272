"""Passwords: changing one's own, and choosing a new one by a link that works once."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.models import User
from django.contrib.auth.tokens import default_token_generator
from django.contrib.auth.views import PasswordChangeView, PasswordResetConfirmView
from django.db import transaction
from django.forms import Form
from django.http import HttpResponse
from django.urls import reverse, reverse_lazy
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from webapp.accounts.first_run import base_url
from webapp.accounts.models import SignInLink
from webapp.accounts.views import BACKEND
from webapp.audit.trail import record_account


def password_link(user: User) -> str:
    """Return a link by which `user` chooses a new password; it ends when it is used, or after a day."""
    number = urlsafe_base64_encode(force_bytes(user.pk))
    return base_url() + reverse("new_password", args=[number, default_token_generator.make_token(user)])


def _in_plain_words(form: Form) -> Form:
    form.fields["new_password1"].help_text = "At least 10 characters; a sentence is good."
    form.fields["new_password2"].label = "New password, once more"
    form.fields["new_password2"].help_text = ""
    return form


class ChangePassword(PasswordChangeView):
    """Ask for the old password and a new one; every other session of the person ends."""

    template_name = "accounts/password.html"
    success_url = reverse_lazy("account")
    extra_context = {"section": "account", "title": "Change your password"}

    def get_form(self, form_class: type[Form] | None = None) -> Form:
        """Return the form, in plain words."""
        return _in_plain_words(super().get_form(form_class))

    def form_valid(self, form: Form) -> HttpResponse:
        """Say that it is done."""
        messages.success(self.request, "Your password is changed. Other browsers have to sign in again; your API "
                                       "tokens still open what they opened: revoke below what you do not trust.")
        record_account(self.request.user, "changed the password")
        return super().form_valid(form)


class NewPassword(PasswordResetConfirmView):
    """Take a new password from whoever has the link, and sign them in.

    Who lost a password may have lost it to somebody: whatever else opens the account ends with it.
    """

    template_name = "accounts/password.html"
    success_url = reverse_lazy("home")
    post_reset_login = True
    post_reset_login_backend = BACKEND
    extra_context = {"title": "Choose a new password",
                     "note": "Other browsers have to sign in again, and your API tokens end: make new ones afterwards."}

    def get_user(self, uidb64: str) -> User | None:
        """Return whose the link is; nobody's, where the account is deactivated."""
        found = super().get_user(uidb64)
        return found if found is not None and found.is_active else None

    def get_form(self, form_class: type[Form] | None = None) -> Form:
        """Return the form, in plain words."""
        return _in_plain_words(super().get_form(form_class))

    def form_valid(self, form: Form) -> HttpResponse:
        """Store the password; the person's tokens, and links that nobody has used yet, open nothing any more."""
        with transaction.atomic():
            ended, _ = self.user.api_tokens.all().delete()
            SignInLink.objects.filter(user=self.user, used_at=None).delete()
            record_account(self.user, f"chose a new password by a link; {ended} token{'' if ended == 1 else 's'} ended")
            return super().form_valid(form)
