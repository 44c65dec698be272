"""Uploads by tus 1.0: create, ask how far, go on, drop; and which of many files are here already."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from core.data.members import HIDDEN, is_hidden
from webapp.accounts.guard import refusal
from webapp.collections import claims, storage
from webapp.collections.claims import Offered
from webapp.collections.ingest import READABLE
from webapp.collections.models import Collection, Refusal, Upload
from webapp.collections.permissions import get_own_collection, get_own_upload
from webapp.collections.receiving import MAX_UPLOAD_BYTES, append, check_size, clean_name, offset
from webapp.collections.room import check_disk, check_quota, held_for
from webapp.collections.shelf import worth_sending_again
from webapp.collections.tus import CHUNK_TYPE, EXTENSIONS, VERSION, Refused, metadata, speaks_tus, whole_number

KNOWN_AT_ONCE, BATCH, DROPPED_AT_ONCE = 5000, 500, 500
GIVEN_UP = "Given up before it was read; send it again if you want it."
GIVEN_UP_HALF_WAY = "Given up before all of it was read; what was read stays. Send it again if you want the rest."
LARGEST = 10**18
UNFINISHED_LIFETIME = timedelta(days=7)
"""What nobody has gone on sending for so long is dropped: it takes the room of others."""
_NOT_AS_EXPECTED = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
"""What JSON of another shape leads to: also infinities, and lists in lists in lists."""


@require_http_methods(["OPTIONS", "POST"])
@speaks_tus
def create(request: HttpRequest) -> HttpResponseBase:
    """Announce a file (and send its first or only chunk, if the request has a body); answer with its address."""
    if request.method == "OPTIONS":
        return _abilities()
    size_bytes = whole_number(request, "Upload-Length")
    told = metadata(request.headers.get("Upload-Metadata", ""))
    collection = _collection(request, told.get("collection", ""))
    check_size(told.get("filename", ""), size_bytes)
    modified = told.get("modified", "")
    announced = Upload(
        collection=collection, sender=request.user, name=clean_name(told.get("filename", "")),
        size_bytes=size_bytes, members_total=1,
        modified_ms=int(modified) if modified.isascii() and modified.isdigit() and len(modified) < 18 else None,
        sha256=_sha256(told["sha256"]) if told.get("sha256") else "")
    with held_for(collection.owner):
        upload = _announced_before(announced) or announced
        if upload is announced:
            check_quota(collection.owner, size_bytes)
            check_disk(size_bytes)
            upload.save(force_insert=True)
    response = HttpResponse(status=201)
    response["Location"] = reverse("uploads:upload", args=[upload.pk])
    if upload is not announced:
        response["Upload-Offset"] = str(_arrived(upload))
        return response
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
        return HttpResponse(headers={"Upload-Offset": str(_arrived(found)), "Upload-Length": str(found.size_bytes)})
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

    So that a folder dropped again, after a closed tab or on another machine, sends only what is missing. Of the
    others it says where something of that very size is here: only then may it pay to hash a large file (`claim`).
    Hidden files and those of an operating system are noted as left out and need not be sent at all.
    """
    try:
        asked = json.loads(request.body)
        collection = get_own_collection(request, _number(asked["collection"]))
        files = [(clean_name(name), _number(size), _number(time))
                 for name, size, time in asked["files"][:KNOWN_AT_ONCE]]
    except _NOT_AS_EXPECTED:
        return refusal(400, "files", "not the expected JSON", "send {collection, files: [[name, bytes, modified], …]}")
    rows: dict[tuple[str, int, int | None], Upload] = {}
    names = list({name for name, _, _ in files})
    for start in range(0, len(names), 500):
        named = collection.uploads.filter(name__in=names[start:start + 500])
        for row in named.exclude(status=Upload.Status.REFUSED).exclude(worth_sending_again()):
            rows[row.name, row.size_bytes, row.modified_ms] = row
    _leave_out(collection, {name for name in names if is_hidden(name)})
    sizes = claims.sizes_here(request.user, {file[1] for file in files if file not in rows})
    answer: list[str | None] = []
    for file in files:
        row = rows.get(file)
        if is_hidden(file[0]):
            answer.append("left out")
        elif row is None:
            answer.append("perhaps" if file[1] in sizes else None)
        elif row.status == Upload.Status.RECEIVING:
            answer.append(reverse("uploads:upload", args=[row.pk]))
        else:
            answer.append("here")
    return JsonResponse({"files": answer})


@require_POST
def room(request: HttpRequest) -> JsonResponse:
    """Say before the first byte whether there is room for so many more, of the person's quota and on the disk."""
    try:
        asked = json.loads(request.body)
        owner = get_own_collection(request, _number(asked["collection"])).owner
        more_bytes = _number(asked["bytes"])
    except _NOT_AS_EXPECTED:
        return refusal(400, "room", "not the expected JSON", "send {collection, bytes}")
    try:
        check_quota(owner, more_bytes)
        check_disk(more_bytes)
    except Refused as refused:
        return refusal(refused.status, "room", refused.message, "make room, then drop the same files again")
    return JsonResponse({})


@require_POST
def claim(request: HttpRequest) -> JsonResponse:
    """Say how many images of each of many files ([name, bytes, modified, sha256]) are here already; 0: send it."""
    try:
        asked = json.loads(request.body)
        collection = get_own_collection(request, _number(asked["collection"]))
        files = [Offered(clean_name(name), _number(size), _number(time), _sha256(sha256))
                 for name, size, time, sha256 in asked["files"][:KNOWN_AT_ONCE]]
    except (*_NOT_AS_EXPECTED, Refused):
        return refusal(400, "files", "not the expected JSON",
                       "send {collection, files: [[name, bytes, modified, sha256], …]}")
    try:
        return JsonResponse({"files": claims.claim(collection, request.user, files)})
    except Collection.DoesNotExist:
        if not Collection.objects.filter(pk=collection.pk).exists():  # nothing of one that is there may go
            storage.forget_collection(collection.pk, [], [])  # what was linked into it meanwhile
        return refusal(404, "collection", "was deleted meanwhile", "send the files to another")


def _number(told: object) -> int:
    """Return a number that the database can hold.

    Raises:
        ValueError, TypeError or OverflowError: for what is none.
    """
    number = int(told)  # type: ignore[call-overload]
    if abs(number) >= LARGEST:
        raise ValueError("larger than any file")
    return int(number)


def _sha256(told: str) -> str:
    """Return a digest as it is stored.

    Raises:
        Refused: 400 for what is none.
    """
    if not re.fullmatch(r"[0-9a-f]{64}", told):
        raise Refused(400, f"sha256: {told[:80]!r} is not 64 hexadecimal digits in lower case")
    return told


def _leave_out(collection: Collection, names: set[str]) -> None:
    """Note that these files were passed over, once each."""
    noted = collection.refusals.filter(left_out=True).values_list("path", flat=True) if names else ()
    Refusal.objects.bulk_create([Refusal(collection=collection, path=name, reason=HIDDEN, left_out=True)
                                 for name in sorted(names.difference(noted))])


def _announced_before(announced: Upload) -> Upload | None:
    """Return the upload of the very same file, if there is one: the line broke before its address was heard.

    Else a browser that tries again would bring the file twice. A file without its time cannot be told from another.
    """
    if announced.modified_ms is None:
        return None
    same = Upload.objects.filter(
        collection=announced.collection, name=announced.name, size_bytes=announced.size_bytes,
        modified_ms=announced.modified_ms).exclude(status=Upload.Status.REFUSED).exclude(worth_sending_again())
    if announced.sha256:  # where its sender did not say it, the row may have it by now from whoever read it
        same = same.filter(sha256=announced.sha256)
    return same.first()


def _arrived(upload: Upload) -> int:
    """Return how many bytes of an upload need not be sent again."""
    return offset(upload) if upload.status == Upload.Status.RECEIVING else upload.size_bytes


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


def give_up_waiting(collection: Collection) -> int:
    """Refuse by name what waits or is being read: it can be sent again; return how many. What was read stays."""
    with transaction.atomic():
        waiting = collection.uploads.filter(status__in=READABLE).select_for_update(no_key=True)
        given_up = list(waiting.order_by("created_at").only("pk", "name", "members_read"))
        for start in range(0, len(given_up), BATCH):
            Upload.objects.filter(pk__in=[one.pk for one in given_up[start:start + BATCH]]).update(
                status=Upload.Status.REFUSED, message="", updated_at=timezone.now())
        Refusal.objects.bulk_create([
            Refusal(upload=one, collection=collection, path=one.name,
                    reason=GIVEN_UP_HALF_WAY if one.members_read else GIVEN_UP) for one in given_up], batch_size=BATCH)
    for one in given_up:
        storage.forget_upload(one.pk)
    return len(given_up)


def drop(found: Upload, sent_before: datetime | None = None) -> bool:
    """Drop an upload that has not arrived whole (a whole one belongs to the collection); return whether it did.

    Args:
        found: its row.
        sent_before: drop it only where nothing of it came since.
    """
    waiting = Upload.objects.filter(pk=found.pk, status=Upload.Status.RECEIVING)
    if sent_before is not None:
        waiting = waiting.filter(updated_at__lt=sent_before)
    with transaction.atomic():  # locked first: its last part must not come between the look and the deletion
        gone = [one.delete()[0] for one in waiting.select_for_update(of=("self",))]
    if gone:
        storage.forget_upload(found.pk)
    return bool(gone)


def drop_forgotten() -> int:
    """Drop the uploads that nobody has gone on sending for a week; return how many."""
    since = timezone.now() - UNFINISHED_LIFETIME
    forgotten = Upload.objects.filter(status=Upload.Status.RECEIVING, updated_at__lt=since)
    return sum(drop(upload, since) for upload in list(forgotten[:DROPPED_AT_ONCE]))
