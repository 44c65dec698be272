"""Addresses of the API."""

from __future__ import annotations

from django.urls import path

from webapp.api.application import api

urlpatterns = [path("", api.urls)]
