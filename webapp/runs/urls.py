"""Addresses of runs."""

from __future__ import annotations

from django.urls import path

from webapp.runs import comparing, downloads, queue, trash, views

app_name = "runs"
urlpatterns = [
    path("collections/<int:pk>/runs/new/", views.new, name="new"),
    path("collections/<int:pk>/runs/new/duration/", views.duration, name="duration"),
    path("collections/<int:pk>/runs/compare/", comparing.compare, name="compare"),
    path("collections/<int:pk>/runs/compare/settle/", comparing.settle, name="settle"),
    path("queue/", queue.queue, name="queue"),
    path("runs/<int:pk>/", views.detail, name="detail"),
    path("runs/<int:pk>/live/", views.live, name="live"),
    path("runs/<int:pk>/points/", views.points, name="points"),
    path("runs/<int:pk>/cancel/", views.cancel, name="cancel"),
    path("runs/<int:pk>/priority/", queue.prioritise, name="prioritise"),
    path("runs/<int:pk>/pause/", views.pause, name="pause"),
    path("runs/<int:pk>/resume/", views.resume, name="resume"),
    path("runs/<int:pk>/again/", views.again, name="again"),
    path("runs/<int:pk>/delete/", trash.delete, name="delete"),
    path("runs/<int:pk>/restore/", trash.restore, name="restore"),
    path("runs/<int:pk>/delete-for-good/", trash.delete_for_good, name="delete_for_good"),
    path("runs/<int:pk>/review/", views.review, name="review"),
    path("runs/<int:pk>/pictures/<slug:name>.png", downloads.picture, name="picture"),
    path("runs/<int:pk>/package/", downloads.package, name="package"),
    path("runs/<int:pk>/log.txt", downloads.log, name="log"),
    path("runs/<int:pk>/labels.csv", downloads.labels_csv, name="labels_csv"),
    path("runs/<int:pk>/labels.jsonl", downloads.labels_jsonl, name="labels_jsonl"),
]
