"""The forms of signing in, of the first administrator and of API tokens."""

from __future__ import annotations

from django import forms
from django.contrib.auth.forms import BaseUserCreationForm
from django.contrib.auth.models import User


class SignInForm(forms.Form):
    """A name and a password."""

    user_name = forms.CharField(
        label="User name", max_length=150,
        widget=forms.TextInput(attrs={"autocomplete": "username", "autofocus": True, "autocapitalize": "none"}))
    password = forms.CharField(
        label="Password", strip=False, max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}))


class FirstAdministratorForm(BaseUserCreationForm):
    """The name and password of the one who may do everything."""

    class Meta:
        model = User
        fields = ("username",)

    def __init__(self, *args: object, **kwargs: object) -> None:
        """Say things plainly."""
        super().__init__(*args, **kwargs)
        self.fields["username"].label = "User name"
        self.fields["username"].help_text = ""
        self.fields["password1"].help_text = "At least 10 characters; a sentence is good."
        self.fields["password2"].label = "Password, once more"
        self.fields["password2"].help_text = ""


class TokenForm(forms.Form):
    """What a token is for."""

    name = forms.CharField(label="What is it for?", max_length=100,
                           widget=forms.TextInput(attrs={"placeholder": "upload script on the field laptop"}))
