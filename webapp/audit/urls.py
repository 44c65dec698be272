"""Address of a collection's history."""

from __future__ import annotations

from django.urls import path

from webapp.audit import views

app_name = "audit"
urlpatterns = [path("collections/<int:pk>/history/", views.index, name="history")]
