"""Addresses that programs ask for the installation's health; no page links to them."""

from __future__ import annotations

from django.urls import path

from webapp.health import views

app_name = "health"
urlpatterns = [
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
    path("metrics", views.metrics, name="metrics"),
]
