"""Runs, results and what can be taken away, for programs."""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse
from ninja import Query, Router, Status

from core.catalog import METHODS
from core.errors import DataError
from core.presets.table import PRESETS
from core.settings import defaults, describe
from webapp.api.errors import ApiError
from webapp.api.schemas import (
    REFUSALS,
    Error,
    EstimateOut,
    MethodOut,
    PictureOut,
    PredictionOut,
    PredictionsOut,
    RunIn,
    RunListOut,
    RunOut,
    SettingOut,
)
from webapp.api.spot_checks import spot_check_of
from webapp.audit.trail import record
from webapp.collections.permissions import get_own_collection, get_visible_class_list, get_visible_collection
from webapp.review.names import class_names, name_at
from webapp.runs import figures, starting
from webapp.runs.deletion import restore_run, trash_run
from webapp.runs.downloads import labels_response, package_response, picture_response
from webapp.runs.live import alarm, place, worker_notice
from webapp.runs.models import Run
from webapp.runs.permissions import get_own_run, get_trashed_run, get_visible_run
from webapp.runs.starting import Asked, start_run
from webapp.sharing.access import collections_of
from webapp.spot_checks.outcome import Outcome, standing

router = Router(tags=["runs"])
PAGE = 20
PREDICTIONS_AT_MOST = 5000


def file_of(kind: str) -> dict[str, Any]:
    """Return what the description says of an answer that is a file of this media type."""
    content = {kind: {"schema": {"type": "string", "format": "binary"}}}
    return {"responses": {200: {"description": "OK", "content": content}}}


@router.get("/methods", response={200: list[MethodOut], REFUSALS: Error},
            summary="Every method with its settings and presets")
def methods(request: HttpRequest) -> list[MethodOut]:
    """Return the catalog."""
    return [MethodOut(
        name=name, title=method.title, summary=method.summary, needs=method.needs, joins=method.joins,
        presets={preset: dict(values) for preset, values in PRESETS.get(name, {}).items()},
        settings=[SettingOut(name=setting, label=known.label, help=known.help, symbol=known.symbol,
                             default=defaults(method.settings)[setting], low=known.low, high=known.high,
                             choices=list(known.choices)) for setting, known in describe(method.settings).items()],
    ) for name, method in METHODS.items()]


@router.post("/collections/{pk}/runs", response={201: RunOut, REFUSALS: Error}, summary="Start a run")
def start(request: HttpRequest, pk: int, payload: RunIn) -> Status[RunOut]:
    """Queue a run, and first the baseline it is compared with; poll GET /runs/{id} until its status is final."""
    collection = get_own_collection(request, pk)
    if payload.class_list is not None and payload.num_classes is not None:
        raise DataError("num_classes", "a class list has its own number of classes; send one of the two")
    asked = Asked.of(collection)
    if payload.class_list is not None:
        asked = Asked(version=get_visible_class_list(request, payload.class_list).latest)
    elif payload.num_classes is not None:
        asked = Asked(num_classes=payload.num_classes)
    warm_up = get_visible_collection(request, payload.warm_up) if payload.warm_up is not None else None
    replay = get_visible_collection(request, payload.replay) if payload.replay is not None else None
    also = [get_visible_collection(request, one) for one in payload.also]
    start_from = get_visible_run(request, payload.start_from) if payload.start_from is not None else None
    run = start_run(collection=collection, method=payload.method, values=payload.settings, asked=asked,
                    preset=payload.preset, seed=payload.seed, warm_up=warm_up, replay=replay, also=also,
                    start_from=start_from)
    record(request, collection, f"started run {run.pk}, {METHODS[run.method].title}")
    return Status(201, describe_run(request, run))


@router.delete("/runs/{pk}", response={204: None, REFUSALS: Error},
               summary="Put a run that has ended into the trash; for thirty days it can be restored")
def delete(request: HttpRequest, pk: int) -> Status[None]:
    """Delete a run; one that is not over, or that another run needs, is refused."""
    run = get_own_run(request, pk)
    try:
        trash_run(run)
    except DataError as error:
        reason, _, fix = error.reason.partition("; ")
        raise ApiError(HTTPStatus.CONFLICT, error.file, reason, fix) from None
    record(request, run.collection, f"moved run {run.pk} to the trash")
    return Status(204, None)


@router.post("/runs/{pk}/restore", response={200: RunOut, REFUSALS: Error},
             summary="Take a run out of the trash, with the baseline it is compared with")
def restore(request: HttpRequest, pk: int) -> RunOut:
    """Restore a run: its answers, its model and what people said in its review are there again."""
    run = get_trashed_run(request, pk)
    if not restore_run(run):
        raise ApiError(HTTPStatus.CONFLICT, f"run {pk}", "is gone for good", "start another run")
    record(request, run.collection, f"restored run {run.pk} from the trash")
    return describe_run(request, get_own_run(request, pk))


@router.get("/collections/{pk}/runs", response={200: RunListOut, REFUSALS: Error},
            summary="A collection's runs, the newest first")
def index(request: HttpRequest, pk: int, before: int | None = None) -> RunListOut:
    """Return a page of runs."""
    runs = get_visible_collection(request, pk).runs.select_related("class_list_version", "collection", "baseline")
    page = list((runs.filter(pk__lt=before) if before else runs).order_by("-pk")[:PAGE + 1])
    return RunListOut(runs=[describe_run(request, one) for one in page[:PAGE]],
                      next=page[PAGE - 1].pk if len(page) > PAGE else None)


@router.get("/runs/{pk}", response={200: RunOut, REFUSALS: Error}, summary="A run as it stands")
def detail(request: HttpRequest, pk: int) -> RunOut:
    """Return status, progress and, once it has succeeded, the result."""
    run = get_visible_run(request, pk)
    run.end_if_abandoned()
    return describe_run(request, run)


@router.post("/runs/{pk}/cancel", response={200: RunOut, REFUSALS: Error}, summary="Ask a run to stop")
def cancel(request: HttpRequest, pk: int) -> RunOut:
    """Cancel; asking twice is no error."""
    run = get_own_run(request, pk)
    if run.status in (Run.Status.SUCCEEDED, Run.Status.FAILED):
        raise ApiError(HTTPStatus.CONFLICT, f"run {pk}", f"has {run.status} already", "there is nothing to stop")
    run.request_cancel()
    record(request, run.collection, f"cancelled run {run.pk}")
    return describe_run(request, get_own_run(request, pk))


@router.post("/runs/{pk}/pause", response={200: RunOut, REFUSALS: Error}, summary="Ask a run to stop for now")
def pause(request: HttpRequest, pk: int) -> RunOut:
    """Pause: at once while it waits, else at its next checkpoint; asking twice is no error."""
    run = get_own_run(request, pk)
    if run.is_terminal:
        raise ApiError(HTTPStatus.CONFLICT, f"run {pk}", f"has {run.status} already", "there is nothing to pause")
    run.request_pause()
    record(request, run.collection, f"paused run {run.pk}")
    return describe_run(request, get_own_run(request, pk))


@router.post("/runs/{pk}/resume", response={200: RunOut, REFUSALS: Error},
             summary="Let a run go on that is paused, or failed and is retryable")
def resume(request: HttpRequest, pk: int) -> RunOut:
    """Queue the run again; it goes on from its checkpoint to the same answer."""
    run = get_own_run(request, pk)
    if not starting.resume(run, collections_of(request.user)):
        raise ApiError(HTTPStatus.CONFLICT, f"run {pk}", f"is {run.status}, neither paused nor retryable",
                       "start another run, or wait for this one")
    record(request, run.collection, f"resumed run {run.pk}")
    return describe_run(request, get_own_run(request, pk))


@router.get("/runs/{pk}/package", summary="The model package (zip)", response={REFUSALS: Error},
            openapi_extra=file_of("application/zip"))
def package(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Send the zip; ranges are honoured, so that a broken download goes on."""
    return package_response(request, _finished(request, pk))


@router.get("/runs/{pk}/pictures/{name}", summary="A picture that the method drew (PNG)",
            response={REFUSALS: Error}, openapi_extra=file_of("image/png"), url_name="picture")
def picture(request: HttpRequest, pk: int, name: str) -> HttpResponseBase:
    """Send one of the run's pictures."""
    return picture_response(request, _finished(request, pk), name)


@router.get("/runs/{pk}/labels.csv", summary="The labels as they stand, corrections included, as CSV",
            response={REFUSALS: Error}, openapi_extra=file_of("text/csv"))
def labels_csv(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Stream path, label, confidence, margin and source."""
    return labels_response(request, _finished(request, pk), "csv")


@router.get("/runs/{pk}/labels.jsonl", summary="The labels as they stand, an object a line",
            response={REFUSALS: Error}, openapi_extra=file_of("application/jsonl"))
def labels_jsonl(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Stream one JSON object an image."""
    return labels_response(request, _finished(request, pk), "jsonl")


@router.get("/runs/{pk}/predictions", response={200: PredictionsOut, REFUSALS: Error},
            summary="The model's own answers, by page")
def predictions(request: HttpRequest, pk: int, after: int = -1,
                limit: int = Query(1000, ge=1, le=PREDICTIONS_AT_MOST)) -> PredictionsOut:
    """Return answers in the collection's order, each with its likeliest classes; corrections are in the labels."""
    run = _finished(request, pk)
    names = class_names(run)
    rows = list(run.predictions.filter(image__number__gt=after).select_related("image")
                .order_by("image__number")[:limit])
    return PredictionsOut(
        class_names=list(names), next=rows[-1].image.number if len(rows) == limit else None,
        predictions=[PredictionOut(
            number=row.image.number, path=row.image.path, class_index=row.class_index,
            label=name_at(names, row.class_index),
            confidence=row.confidence, margin=row.margin, top=row.top) for row in rows])


def _finished(request: HttpRequest, pk: int) -> Run:
    """Return a run one may look at if it has succeeded.

    Raises:
        ApiError: 409 if it has not.
    """
    run = get_visible_run(request, pk)
    if run.status != Run.Status.SUCCEEDED:
        fix = "start another run" if run.is_terminal else "ask again when GET /runs/{id} says succeeded"
        raise ApiError(HTTPStatus.CONFLICT, f"run {pk}", f"is {run.status}, so there is no result", fix)
    return run


def describe_run(request: HttpRequest, run: Run) -> RunOut:
    """Return a run from its row."""
    where = place(run)
    checked = standing(run) if run.status == Run.Status.SUCCEEDED else None
    return RunOut(
        id=run.pk, collection=run.collection_id, method=run.method, preset=run.preset, settings=run.settings,
        seed=run.seed, class_names=list(class_names(run)), num_classes=run.num_classes, also=run.also,
        start_from=run.start_from_id, baseline=run.baseline_id,
        status=run.status, cancel_requested=run.cancel_requested, attempt=run.attempt, stage=run.stage,
        percent=run.percent, step=run.step, total=run.total, images_per_second=run.images_per_second,
        seconds_left=run.seconds_left, queue_position=where.waiting_ahead + 1 if where else None,
        notice=worker_notice(run), error=run.error, retryable=run.retryable, result=run.result or None,
        pictures=_pictures(request, run), alarm=alarm(run), objection=_objection(run, checked),
        estimated=_estimated(run), spot_check=spot_check_of(checked),
        created_at=run.created_at, started_at=run.started_at, finished_at=run.finished_at,
        page=request.build_absolute_uri(reverse("runs:detail", args=[run.pk])))


def _pictures(request: HttpRequest, run: Run) -> list[PictureOut]:
    """Return what the run's method drew, and where it is."""
    return [PictureOut(**asdict(one), address=request.build_absolute_uri(
        reverse("api:picture", args=[run.pk, one.name]))) for one in figures.pictures(run)]


def _objection(run: Run, checked: Outcome | None) -> str:
    """Return why a run that has succeeded should not replace its baseline, or ""."""
    return str(figures.objection(run, checked) or "") if run.status == Run.Status.SUCCEEDED else ""


def _estimated(run: Run) -> EstimateOut | None:
    """Return the estimated accuracy of a run that has succeeded."""
    found = figures.estimated(run) if run.status == Run.Status.SUCCEEDED else None
    return None if found is None else EstimateOut(**asdict(found))
