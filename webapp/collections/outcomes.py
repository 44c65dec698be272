"""What became of every file that was sent: an image, a duplicate, refused, left out, or not here yet."""

from __future__ import annotations

import csv
from io import StringIO
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.db.models import CharField, F, QuerySet, Value
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from webapp.audit.trail import record
from webapp.collections.models import Collection, Upload
from webapp.collections.permissions import get_own_collection, get_visible_collection
from webapp.collections.spreadsheets import guard_formula
from webapp.collections.views import frame

PAGE = 100
KINDS = {"images": "Images", "duplicates": "Duplicates", "refused": "Refused", "left-out": "Left out",
         "arriving": "Not here yet"}
ONE = {**KINDS, "images": "Image", "duplicates": "Duplicate"}
BADGES = {"images": "good", "refused": "bad", "arriving": "warning"}
ARRIVING = (Upload.Status.RECEIVING, Upload.Status.RECEIVED, Upload.Status.READING)
WORDS = {Upload.Status.RECEIVING: "only a part of it has arrived; send it again and it goes on from there",
         Upload.Status.RECEIVED: "waits to be read", Upload.Status.READING: "is being read"}

Rows = QuerySet[Any, dict[str, str]]


def _told(rows: QuerySet[Any], kind: str, path: str, reason: str | None) -> Rows:
    """Return rows as {path, outcome, reason}; `path` and `reason` name fields."""
    said = F(reason) if reason else Value("", output_field=CharField())
    return rows.annotate(path_=F(path), outcome=Value(kind, output_field=CharField()), reason_=said).values(
        "path_", "outcome", "reason_")


def of(collection: Collection, words: str = "") -> dict[str, Rows]:
    """Return the files of a collection by what became of them; with words, those whose path has them."""
    images, refusals = collection.images.order_by(), collection.refusals.order_by()
    uploads = collection.uploads.filter(status__in=ARRIVING)
    if words:
        images, refusals = images.filter(path__icontains=words), refusals.filter(path__icontains=words)
        uploads = uploads.filter(name__icontains=words)
    return {
        "images": _told(images.filter(duplicate_of=None), "images", "path", None),
        "duplicates": _told(images.exclude(duplicate_of=None), "duplicates", "path", "duplicate_of__path"),
        "refused": _told(refusals.filter(left_out=False), "refused", "path", "reason"),
        "left-out": _told(refusals.filter(left_out=True), "left-out", "path", "reason"),
        "arriving": _told(uploads, "arriving", "name", "status"),
    }


def _chosen(request: HttpRequest, collection: Collection) -> tuple[str, str, dict[str, Rows], Rows]:
    """Return the kind and words that the address asks for, all files by kind, and those asked for, by path."""
    kind, words = request.GET.get("show", "all"), request.GET.get("find", "").strip()[:200]
    by_kind = of(collection, words)
    if kind != "all" and kind not in by_kind:
        raise Http404("no such kind of file")
    first, *rest = by_kind.values() if kind == "all" else [by_kind[kind]]
    return kind, words, by_kind, first.union(*rest, all=True).order_by("path_") if rest else first.order_by("path_")


def _in_words(row: dict[str, str]) -> dict[str, str]:
    """Return a row as a person reads it, the folder apart from the name."""
    kind, reason = row["outcome"], row["reason_"]
    folder, _, name = row["path_"].rpartition("/")
    if kind == "duplicates":
        reason = f"the very same picture as {reason}"
    elif kind == "arriving":
        reason = WORDS[Upload.Status(reason)]
    return {"path": row["path_"], "folder": f"{folder}/" if folder else "", "name": name, "outcome": ONE[kind],
            "badge": BADGES.get(kind, ""), "reason": reason}


@require_GET
def files(request: HttpRequest, pk: int) -> HttpResponse:
    """Show every file with what became of it."""
    collection = get_visible_collection(request, pk)
    kind, words, by_kind, found = _chosen(request, collection)
    page = Paginator(found, PAGE).get_page(request.GET.get("page"))
    query = urlencode({"show": kind, "find": words})
    counts = [(name, title, by_kind[name].count()) for name, title in KINDS.items()]
    missing = sum(count for name, _, count in counts if name in {"refused", "arriving"})
    return render(request, "collections/files.html", frame(
        collection, "images", kind=kind, words=words, counts=counts, missing=missing, page=page, query=query,
        total=sum(count for *_, count in counts), files=[_in_words(row) for row in page.object_list]))


@require_GET
def files_csv(request: HttpRequest, pk: int) -> HttpResponse:
    """Download the list, as it is filtered."""
    collection = get_visible_collection(request, pk)
    out = StringIO()
    writer = csv.writer(out)
    writer.writerow(["path", "outcome", "reason"])
    for row in map(_in_words, _chosen(request, collection)[3].iterator()):
        writer.writerow([guard_formula(row["path"]), row["outcome"].lower(), guard_formula(row["reason"])])
    return HttpResponse(out.getvalue(), content_type="text/csv; charset=utf-8",
                        headers={"Content-Disposition": 'attachment; filename="files.csv"'})


@require_POST
def clear_refusals(request: HttpRequest, pk: int) -> HttpResponse:
    """Empty the list of refused files."""
    collection = get_own_collection(request, pk)
    count, _ = collection.refusals.filter(left_out=False).delete()
    record(request, collection, f"cleared the list of {count:,} refused files")
    return redirect("collections:images", collection.pk)
