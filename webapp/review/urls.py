"""Addresses of the review that are not Gradio's: the map's points, labels from a file and *try an image*."""

from __future__ import annotations

from django.urls import path

from webapp.review import views

app_name = "review"
urlpatterns = [
    path("review/runs/<int:pk>/version", views.standing_version, name="version"),
    path("review/runs/<int:pk>/map.json", views.map_points, name="map"),
    path("review/runs/<int:pk>/labels", views.import_labels, name="import_labels"),
    path("review/runs/<int:pk>/trials/", views.trials, name="trials"),
    path("review/trials/<int:pk>/", views.trial, name="trial"),
    path("review/trials/<int:pk>/image", views.trial_image, name="trial_image"),
]
