"""Addresses of signing in and of one's account."""

from __future__ import annotations

from django.urls import path

from webapp.accounts import administration, passwords, views
from webapp.accounts.guard import login_not_required

urlpatterns = [
    path("sign-in/", views.sign_in, name="sign_in"),
    path("sign-out/", views.sign_out, name="sign_out"),
    path("link/<str:secret>/", views.sign_in_link, name="sign_in_link"),
    path("new-password/<uidb64>/<token>/", login_not_required(passwords.NewPassword.as_view()), name="new_password"),
    path("account/", views.account, name="account"),
    path("account/password/", passwords.ChangePassword.as_view(), name="change_password"),
    path("account/tokens/", views.create_token, name="create_token"),
    path("account/tokens/<int:pk>/revoke/", views.revoke_token, name="revoke_token"),
    path("accounts/", administration.accounts, name="accounts"),
    path("accounts/<int:pk>/deactivate/", administration.deactivate, name="deactivate_account"),
    path("accounts/<int:pk>/activate/", administration.activate, name="activate_account"),
    path("accounts/<int:pk>/collections/", administration.give_collections, name="give_collections"),
]
