"""Collections, class lists and truth, for programs."""

from __future__ import annotations

import csv
import io

from django.db import transaction
from django.http import HttpRequest
from ninja import Router, Status

from core.errors import DataError
from core.names import parse_names, tidy
from webapp.api.bodies import CSV_BODY, csv_body
from webapp.api.schemas import (
    REFUSALS,
    ClassListIn,
    ClassListOut,
    CollectionChange,
    CollectionIn,
    CollectionListOut,
    CollectionOut,
    Error,
    HoldOutIn,
    NamesIn,
    RefusalOut,
    TruthOut,
    UploadOut,
)
from webapp.audit.trail import record, record_list_edit
from webapp.collections import held_out
from webapp.collections.models import ClassListVersion, Collection, TrueLabel, Upload
from webapp.collections.naming import create_class_list, edit_class_list
from webapp.collections.permissions import (
    get_own_class_list,
    get_own_collection,
    get_visible_class_list,
    get_visible_collection,
)
from webapp.collections.truth import FILE, store_truth
from webapp.sharing.access import collections_of

router = Router(tags=["collections"])
class_lists = Router(tags=["class lists"])
PAGE = 20
LISTED = 100
PENDING = (Upload.Status.RECEIVING, Upload.Status.RECEIVED, Upload.Status.READING)


@router.get("", response={200: CollectionListOut, REFUSALS: Error},
            summary="List the collections you have a role in, the newest first")
def index(request: HttpRequest, before: int | None = None) -> CollectionListOut:
    """Return a page of collections."""
    found = collections_of(request.user).select_related("class_list_version__class_list")
    page = list((found.filter(pk__lt=before) if before else found).order_by("-pk")[:PAGE + 1])
    return CollectionListOut(collections=[describe(one) for one in page[:PAGE]],
                             next=page[PAGE - 1].pk if len(page) > PAGE else None)


@router.post("", response={201: CollectionOut, REFUSALS: Error}, summary="Make a collection")
def create(request: HttpRequest, payload: CollectionIn) -> Status[CollectionOut]:
    """Make an empty collection; images come by tus at /uploads/ with `Upload-Metadata: filename, collection`."""
    name = tidy(payload.name)
    if not name:
        raise DataError("name", "empty; give the collection a name")
    collection = Collection.objects.create(owner=request.user, name=name, mirror=payload.mirror)
    record(request, collection, "made the collection")
    return Status(201, describe(collection))


@router.get("/{pk}", response={200: CollectionOut, REFUSALS: Error},
            summary="Counts, pending uploads and refusals of a collection")
def detail(request: HttpRequest, pk: int) -> CollectionOut:
    """Return a collection as it stands."""
    return describe(get_visible_collection(request, pk))


@router.patch("/{pk}", response={200: CollectionOut, REFUSALS: Error},
              summary="Change a collection's question, name or mirror")
def change(request: HttpRequest, pk: int, payload: CollectionChange) -> CollectionOut:
    """Change what is sent and leave the rest. Names and a number of classes take each other's place."""
    collection = get_own_collection(request, pk)
    sent = payload.model_dump(exclude_unset=True)
    if sent.get("class_list") is not None and sent.get("num_classes") is not None:
        raise DataError("num_classes", "a class list has its own number of classes; send one of the two")
    if sent.get("class_list") is not None:
        collection.class_list_version = get_visible_class_list(request, sent["class_list"]).latest
        collection.num_classes = None
    elif "class_list" in sent:
        collection.class_list_version = None
    if "num_classes" in sent and sent.get("class_list") is None:
        collection.num_classes = sent["num_classes"]
        if sent["num_classes"] is not None:
            collection.class_list_version = None
    if sent.get("name"):
        collection.name = tidy(sent["name"]) or collection.name
    if sent.get("mirror") is not None:
        collection.mirror = sent["mirror"]
    collection.save(update_fields=["class_list_version", "num_classes", "name", "mirror"])
    record(request, collection, "set " + ", ".join(f"{name} to {value}" for name, value in sent.items()))
    return describe(collection)


@router.put("/{pk}/truth", response={200: TruthOut, REFUSALS: Error},
            summary="Send true labels as CSV (path,label); only evaluation reads them",
            openapi_extra=CSV_BODY)
def truth(request: HttpRequest, pk: int) -> TruthOut:
    """Make the request's body the collection's truth, in place of an earlier one."""
    collection = get_own_collection(request, pk)
    report = store_truth(collection, csv_body(request, FILE))
    record(request, collection, f"stored {report.labelled:,} true labels")
    return TruthOut(labelled=report.labelled, images=report.images, unknown_paths=list(report.unknown_paths),
                    unknown_path_count=report.unknown_path_count, unknown_names=list(report.unknown_names))


@router.put("/{pk}/held-out", response={200: CollectionOut, REFUSALS: Error},
            summary="Keep a share or a list of images out of adaptation; they are answered all the same")
def hold_out(request: HttpRequest, pk: int, payload: HoldOutIn) -> CollectionOut:
    """Hold out a part in place of an earlier one."""
    collection = get_own_collection(request, pk)
    if payload.paths is not None and payload.percent is None:
        count = held_out.hold_out_listed(collection, _one_column(payload.paths), "paths")
    elif payload.percent is not None and payload.paths is None:
        count = held_out.hold_out_share(collection, payload.percent, payload.seed)
    else:
        raise DataError("percent", "a part is a share or a list of paths; send one of the two")
    record(request, collection, f"held out {count:,} images")
    return describe(collection)


@router.delete("/{pk}/held-out", response={200: CollectionOut, REFUSALS: Error},
               summary="Give every image back to adaptation")
def hold_out_nothing(request: HttpRequest, pk: int) -> CollectionOut:
    """Hold out nothing."""
    collection = get_own_collection(request, pk)
    held_out.hold_out_nothing(collection)
    record(request, collection, "held out 0 images")
    return describe(collection)


@class_lists.post("", response={201: ClassListOut, REFUSALS: Error}, summary="Make a class list")
def create_list(request: HttpRequest, payload: ClassListIn) -> Status[ClassListOut]:
    """Make a list and its first version."""
    version = create_class_list(request.user, payload.name, _checked(payload.names))
    return Status(201, describe_version(version))


@class_lists.get("/{pk}", response={200: ClassListOut, REFUSALS: Error}, summary="The newest version of a class list")
def detail_list(request: HttpRequest, pk: int) -> ClassListOut:
    """Return a list's newest names."""
    return describe_version(get_visible_class_list(request, pk).latest)


@class_lists.put("/{pk}", response={200: ClassListOut, REFUSALS: Error}, summary="Change the names: a new version")
def change_list(request: HttpRequest, pk: int, payload: NamesIn) -> ClassListOut:
    """Make a new version; runs and collections that asked an older one keep it."""
    with transaction.atomic():
        class_list = get_own_class_list(request, pk)
        before = class_list.latest
        version = edit_class_list(class_list, _checked(payload.names), request.user)
        if version != before:
            record_list_edit(request, version)
        return describe_version(version)


def describe(collection: Collection) -> CollectionOut:
    """Return a collection with its counts."""
    images, uploads = collection.images, collection.uploads.filter(status__in=PENDING)
    refusals = collection.refusals.filter(left_out=False)
    version = collection.class_list_version
    return CollectionOut(
        id=collection.pk, name=collection.name, mirror=collection.mirror, num_classes=collection.num_classes,
        class_list=describe_version(version) if version else None, images=images.count(),
        duplicates=images.filter(duplicate_of__isnull=False).count(), held_out=images.filter(held_out=True).count(),
        true_labels=TrueLabel.objects.filter(image__collection=collection).count(),
        pending_upload_count=uploads.count(), refusal_count=refusals.count(),
        left_out_count=collection.refusals.filter(left_out=True).count(),
        pending_uploads=[UploadOut(
            id=str(one.pk), name=one.name, status=one.status, size_bytes=one.size_bytes,
            received_bytes=one.received_bytes, message=one.message) for one in uploads.order_by("created_at")[:LISTED]],
        refusals=[RefusalOut(path=one.path, reason=one.reason) for one in refusals.order_by("pk")[:LISTED]],
        created_at=collection.created_at)


def describe_version(version: ClassListVersion) -> ClassListOut:
    """Return a version of a class list under the list's own id."""
    return ClassListOut(id=version.class_list_id, name=version.class_list.name, version=version.number,
                        names=version.names)


def _one_column(paths: list[str]) -> bytes:
    """Return the paths as a CSV file that a person might have sent."""
    stream = io.StringIO(newline="")
    csv.writer(stream, quoting=csv.QUOTE_ALL).writerows([["path"], *([path] for path in paths)])
    return stream.getvalue().encode("utf-8")


def _checked(names: list[str]) -> tuple[str, ...]:
    """Return the names, tidied, or refuse them by line as in the form."""
    broken = [name for name in names if len(name.splitlines()) > 1]
    if broken:
        raise DataError("class names", f"{broken[0]!r} has a line break; send one name an entry")
    return parse_names("\n".join(names))
