"""Addresses of collections, class lists, uploads and media."""

from __future__ import annotations

from django.urls import include, path

from webapp.collections import (
    buckets,
    class_lists,
    folders,
    media,
    outcomes,
    question,
    selecting,
    trash,
    uploads,
    views,
)

collection_patterns = [
    path("create/", views.create, name="create"),
    path("<int:pk>/", views.detail, name="detail"),
    path("<int:pk>/images/", views.images, name="images"),
    path("<int:pk>/images/wall/", views.wall_page, name="wall"),
    path("<int:pk>/images/<int:number>/", views.image, name="image"),
    path("<int:pk>/arrivals/", views.arrivals, name="arrivals"),
    path("<int:pk>/give-up/", views.give_up, name="give_up"),
    path("<int:pk>/folder/", folders.add_folder, name="add_folder"),
    path("<int:pk>/bucket/", buckets.add_bucket, name="add_bucket"),
    path("<int:pk>/near-copies/", selecting.near_copies, name="near_copies"),
    path("<int:pk>/set-aside/", selecting.set_aside, name="set_aside"),
    path("<int:pk>/files/", outcomes.files, name="files"),
    path("<int:pk>/files.csv", outcomes.files_csv, name="files_csv"),
    path("<int:pk>/refused/clear/", outcomes.clear_refusals, name="clear_refusals"),
    path("<int:pk>/question/", question.question, name="question"),
    path("<int:pk>/truth/", question.truth, name="truth"),
    path("<int:pk>/held-out/", question.hold_out, name="hold_out"),
    path("<int:pk>/runs/", views.runs, name="runs"),
    path("<int:pk>/settings/", views.settings, name="settings"),
    path("<int:pk>/delete/", views.delete, name="delete"),
    path("trash/", trash.index, name="trash"),
    path("trash/<int:pk>/restore/", trash.restore, name="restore"),
    path("trash/<int:pk>/delete/", trash.delete, name="delete_for_good"),
    path("uploads/<uuid:upload_pk>/discard/", views.discard_upload, name="discard_upload"),
]
class_list_patterns = [
    path("", class_lists.index, name="index"),
    path("create/", class_lists.create, name="create"),
    path("check/", class_lists.check, name="check"),
    path("editor/", class_lists.editor, name="editor"),
    path("<int:pk>/", class_lists.detail, name="detail"),
    path("<int:pk>/versions/<int:number>/", class_lists.version, name="version"),
    path("<int:pk>/delete/", class_lists.delete, name="delete"),
]
upload_patterns = [
    path("", uploads.create, name="create"),
    path("known/", uploads.known, name="known"),
    path("room/", uploads.room, name="room"),
    path("claim/", uploads.claim, name="claim"),
    path("<uuid:pk>", uploads.upload, name="upload"),
]
media_patterns = [
    path("thumbnails/<int:pk>", media.thumbnail, name="thumbnail"),
    path("images/<int:pk>", media.image, name="image"),
]
urlpatterns = [
    path("", views.home, name="home"),
    path("collections/", include((collection_patterns, "collections"))),
    path("class-lists/", include((class_list_patterns, "class_lists"))),
    path("uploads/", include((upload_patterns, "uploads"))),
    path("media/", include((media_patterns, "media"))),
]
