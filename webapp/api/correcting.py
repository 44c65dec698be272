"""A person's word on a run's images, for programs: one label for many images, or a CSV of labels."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from django.http import HttpRequest
from ninja import Field, Router, Schema, Status

from core.errors import DataError
from webapp.api.authentication import REVIEWING
from webapp.api.bodies import CSV_BODY, csv_body
from webapp.api.schemas import NUMBER_AT_MOST, REFUSALS, Error, Sent
from webapp.review import actions, imported
from webapp.review.names import class_names
from webapp.runs.permissions import get_reviewable_run

router = Router(tags=["runs"])


class CorrectionIn(Sent):
    """A person's word for some images of a run."""

    images: list[Annotated[int, Field(ge=0, le=NUMBER_AT_MOST)]] = Field(
        description="their numbers in the collection", min_length=1, max_length=5000)
    label: str = Field(description="one of the run's class names")


class CorrectionOut(Schema):
    """What was recorded; Review undoes it in one step."""

    corrected: int
    description: str


class ImportOut(Schema):
    """What a labels CSV brought; Review undoes it in one step."""

    labelled: int
    description: str
    unknown_paths: list[str]
    unknown_path_count: int
    models_own: int


@router.post("/runs/{pk}/corrections", response={201: CorrectionOut, REFUSALS: Error}, auth=REVIEWING,
             summary="Label images by a person's word")
def correct(request: HttpRequest, pk: int, payload: CorrectionIn) -> Status[CorrectionOut]:
    """Record one correction of all these images, as Review does; it stands in the labels from now on."""
    run = get_reviewable_run(request, pk)
    names = class_names(run)
    if payload.label not in names:
        raise DataError("label", f"{payload.label!r} is no class of this run; send one of its class_names")
    images = dict(run.collection.images.filter(number__in=payload.images).values_list("number", "pk"))
    missing = [number for number in payload.images if number not in images]
    if missing:
        raise DataError("images", f"the collection has no image {missing[0]}; send numbers of its predictions")
    action = actions.correct(run, request.user, images.values(), names.index(payload.label))
    return Status(201, CorrectionOut(corrected=len(images), description=action.description))


@router.post("/runs/{pk}/labels", response={201: ImportOut, REFUSALS: Error}, auth=REVIEWING,
             summary="Send labels that a person gave as CSV (path,label); Semi-MAE learns from them",
             openapi_extra=CSV_BODY)
def import_labels(request: HttpRequest, pk: int) -> Status[ImportOut]:
    """Record what the request's body says as one correction; lines whose column source is model are left out."""
    run = get_reviewable_run(request, pk)
    report = imported.correct_listed(run, request.user, csv_body(request, imported.FILE))
    return Status(201, ImportOut(**asdict(report)))
