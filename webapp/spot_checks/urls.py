"""Addresses of a run's spot check."""

from __future__ import annotations

from django.urls import path

from webapp.spot_checks import views

app_name = "spot_checks"
urlpatterns = [
    path("runs/<int:pk>/spot-check/", views.detail, name="detail"),
    path("runs/<int:pk>/spot-check/start/", views.start, name="start"),
    path("runs/<int:pk>/spot-check/answer/", views.answer, name="answer"),
    path("runs/<int:pk>/spot-check/undo/", views.undo, name="undo"),
    path("runs/<int:pk>/spot-check/adopt/", views.adopt, name="adopt"),
]
