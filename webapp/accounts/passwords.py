"""Passwords: changing one's own, and choosing a new one by a link that works once."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.models import User
from django.contrib.auth.tokens import default_token_generator
from django.contrib.auth.views import PasswordChangeView, PasswordResetConfirmView
from django.forms import Form
from django.http import HttpResponse
from django.urls import reverse, reverse_lazy
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from webapp.accounts.first_run import base_url
from webapp.accounts.views import BACKEND


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
        messages.success(self.request, "Your password is changed. Other browsers have to sign in again.")
        return super().form_valid(form)


class NewPassword(PasswordResetConfirmView):
    """Take a new password from whoever has the link, and sign them in."""

    template_name = "accounts/password.html"
    success_url = reverse_lazy("home")
    post_reset_login = True
    post_reset_login_backend = BACKEND
    extra_context = {"title": "Choose a new password"}

    def get_form(self, form_class: type[Form] | None = None) -> Form:
        """Return the form, in plain words."""
        return _in_plain_words(super().get_form(form_class))
