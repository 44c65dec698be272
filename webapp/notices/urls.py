"""Addresses of one's notices."""

from __future__ import annotations

from django.urls import path

from webapp.notices import views

app_name = "notices"
urlpatterns = [
    path("account/notices/", views.edit, name="edit"),
    path("account/notices/secret/", views.renew_secret, name="renew_secret"),
]
