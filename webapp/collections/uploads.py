"""Uploads by tus 1.0: create, ask how far, go on, drop; and which of many files are here already."""

from __future__ import annotations

import json
from uuid import UUID

from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from webapp.accounts.guard import refusal
from webapp.collections import storage
from webapp.collections.models import Collection, Upload
from webapp.collections.permissions import get_own_collection, get_own_upload
from webapp.collections.receiving import MAX_UPLOAD_BYTES, append, check_space, clean_name, offset
from webapp.collections.tus import CHUNK_TYPE, EXTENSIONS, VERSION, Refused, metadata, speaks_tus, whole_number

KNOWN_AT_ONCE = 5000


@require_http_methods(["OPTIONS", "POST"])
@speaks_tus
def create(request: HttpRequest) -> HttpResponseBase:
    """Announce a file (and send its first or only chunk, if the request has a body); answer with its address."""
    if request.method == "OPTIONS":
        return _abilities()
    size_bytes = whole_number(request, "Upload-Length")
    told = metadata(request.headers.get("Upload-Metadata", ""))
    collection = _collection(request, told.get("collection", ""))
    if size_bytes > MAX_UPLOAD_BYTES:
        raise Refused(413, f"A file may have at most {MAX_UPLOAD_BYTES // 2**30} GB; split it.")
    check_space(size_bytes)
    modified = told.get("modified", "")
    upload = Upload.objects.create(
        collection=collection, name=clean_name(told.get("filename", "")), size_bytes=size_bytes, members_total=1,
        modified_ms=int(modified) if modified.isascii() and modified.isdigit() and len(modified) < 18 else None)
    response = HttpResponse(status=201)
    response["Location"] = reverse("uploads:upload", args=[upload.pk])
    length = int(request.headers.get("Content-Length") or 0)
    if request.content_type == CHUNK_TYPE or not size_bytes:
        response["Upload-Offset"] = str(append(upload, request, length if size_bytes else 0))
    return response


@require_http_methods(["OPTIONS", "HEAD", "PATCH", "DELETE"])
@speaks_tus
def upload(request: HttpRequest, pk: UUID) -> HttpResponseBase:
    """Say how far an upload is (HEAD), take its next chunk (PATCH) or drop it (DELETE)."""
    if request.method == "OPTIONS":
        return _abilities()
    try:
        found = get_own_upload(request, pk)
    except Http404:
        raise Refused(404, "There is no such upload.") from None
    if request.method == "HEAD":
        here = offset(found) if found.status == Upload.Status.RECEIVING else found.size_bytes
        return HttpResponse(headers={"Upload-Offset": str(here), "Upload-Length": str(found.size_bytes)})
    if request.method == "DELETE":
        if not drop(found):
            raise Refused(409, "This upload is complete already.")
        return HttpResponse(status=204)
    if request.content_type != CHUNK_TYPE:
        raise Refused(415, f"Send chunks as Content-Type: {CHUNK_TYPE}.")
    at, length = whole_number(request, "Upload-Offset"), whole_number(request, "Content-Length")
    return HttpResponse(status=204, headers={"Upload-Offset": str(append(found, request, length, at))})


@require_POST
def known(request: HttpRequest) -> JsonResponse:
    """Say which of many files ([name, bytes, modified]) are here already, and where the unfinished ones go on.

    So that a folder dropped again, after a closed tab or on another machine, sends only what is missing.
    """
    try:
        asked = json.loads(request.body)
        collection = get_own_collection(request, int(asked["collection"]))
        files = [(clean_name(name), int(size), int(time)) for name, size, time in asked["files"][:KNOWN_AT_ONCE]]
    except (ValueError, KeyError, TypeError, AttributeError):
        return refusal(400, "files", "not the expected JSON", "send {collection, files: [[name, bytes, modified], …]}")
    rows: dict[tuple[str, int, int | None], Upload] = {}
    names = list({name for name, _, _ in files})
    for start in range(0, len(names), 500):
        for row in collection.uploads.filter(name__in=names[start:start + 500]).exclude(status=Upload.Status.REFUSED):
            rows[row.name, row.size_bytes, row.modified_ms] = row
    answer = []
    for file in files:
        row = rows.get(file)
        if row is None:
            answer.append(None)
        elif row.status == Upload.Status.RECEIVING:
            answer.append(reverse("uploads:upload", args=[row.pk]))
        else:
            answer.append("here")
    return JsonResponse({"files": answer})


def _abilities() -> HttpResponse:
    return HttpResponse(status=204, headers={"Tus-Version": VERSION, "Tus-Extension": EXTENSIONS,
                                             "Tus-Max-Size": str(MAX_UPLOAD_BYTES)})


def _collection(request: HttpRequest, pk: str) -> Collection:
    if not pk.isascii() or not pk.isdigit():
        raise Refused(400, "Upload-Metadata must name the collection's number (collection) and the file (filename).")
    try:
        return get_own_collection(request, int(pk[:18]))
    except Http404:
        raise Refused(404, "There is no such collection.") from None


def drop(found: Upload) -> bool:
    """Drop an upload that has not arrived whole (a whole one belongs to the collection); return whether it did."""
    with transaction.atomic():
        gone, _ = Upload.objects.filter(pk=found.pk, status=Upload.Status.RECEIVING).delete()
    if gone:
        storage.forget_upload(found.pk)
    return bool(gone)
