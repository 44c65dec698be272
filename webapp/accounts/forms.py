"""The forms of signing in, of a new account and of API tokens."""

from __future__ import annotations

import unicodedata
from datetime import timedelta

from django import forms
from django.contrib.auth.forms import BaseUserCreationForm
from django.contrib.auth.models import User

from core.names import fold
from webapp.accounts.models import Scope

ALPHABETS = {"LATIN", "CYRILLIC", "GREEK"}
"""Scripts with letters that look like one another's, as Unicode's names of letters begin."""
NAME_TAKEN = "Somebody has this name already, but maybe for capital letters. Choose another."


class SignInForm(forms.Form):
    """A name and a password."""

    user_name = forms.CharField(
        label="User name", max_length=150,
        widget=forms.TextInput(attrs={"autocomplete": "username", "autofocus": True, "autocapitalize": "none"}))
    password = forms.CharField(
        label="Password", strip=False, max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}))


class NewUserForm(BaseUserCreationForm):
    """The name and password of somebody new."""

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

    def clean_username(self) -> str:
        """Refuse a name by which they would be taken for somebody else."""
        name = self.cleaned_data["username"]
        letters = unicodedata.normalize("NFKC", name)
        if len(ALPHABETS & {unicodedata.name(one, "").split(" ")[0] for one in letters}) > 1:
            raise forms.ValidationError("Letters of different alphabets look alike. Write the name in one alphabet.")
        if fold(name) in map(fold, User.objects.values_list("username", flat=True)):
            raise forms.ValidationError(NAME_TAKEN)
        return name


LIFETIMES = (("30", "30 days"), ("90", "90 days"), ("365", "a year"), ("0", "until it is revoked"))


class TokenForm(forms.Form):
    """What a token is for, what it may do and for how long."""

    name = forms.CharField(label="What is it for?", max_length=100,
                           widget=forms.TextInput(attrs={"placeholder": "upload script on the field laptop"}))
    scopes = forms.MultipleChoiceField(
        label="What may it do?", choices=Scope.choices, initial=[Scope.READ, Scope.WRITE],
        widget=forms.CheckboxSelectMultiple, error_messages={"required": "Choose at least one."})
    days = forms.TypedChoiceField(label="For how long?", choices=LIFETIMES, initial="90", coerce=int)

    @property
    def lifetime(self) -> timedelta | None:
        """Return how long the token is to last; None for ever."""
        days = self.cleaned_data["days"]
        return timedelta(days=days) if days else None
