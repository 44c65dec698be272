"""Addresses of collections, class lists, uploads and media."""

from __future__ import annotations

from django.urls import include, path

from webapp.collections import views

collections = [
    path("<int:pk>/", views.detail, name="detail"),
    path("<int:pk>/images/", views.detail, name="images"),
    path("<int:pk>/question/", views.detail, name="question"),
    path("<int:pk>/runs/", views.detail, name="runs"),
    path("<int:pk>/settings/", views.detail, name="settings"),
    path("create/", views.home, name="create"),
]
class_lists = [path("", views.home, name="index"), path("<int:pk>/", views.home, name="detail"), path("create/", views.home, name="create")]
media = [path("thumbnails/<int:pk>", views.detail, name="thumbnail"), path("images/<int:pk>", views.detail, name="image")]
urlpatterns = [
    path("", views.home, name="home"),
    path("collections/", include((collections, "collections"))),
    path("class-lists/", include((class_lists, "class_lists"))),
    path("media/", include((media, "media"))),
]
