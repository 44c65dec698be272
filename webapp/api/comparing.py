"""Finished runs of one collection side by side, for programs: what the page “Compare runs” shows."""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus

from django.core.paginator import Paginator
from django.http import HttpRequest
from django.urls import reverse
from ninja import Field, Query, Router, Schema

from core.errors import DataError
from webapp.api.errors import ApiError
from webapp.api.schemas import REFUSALS, Error, EstimateOut, SpotCheckOut
from webapp.api.spot_checks import spot_check_of
from webapp.collections.models import Collection
from webapp.collections.permissions import get_visible_collection
from webapp.review.names import class_names
from webapp.runs import comparison, figures
from webapp.runs.comparison import Compared, Dispute
from webapp.runs.models import Run

router = Router(tags=["comparing"])
DISPUTES_A_PAGE = 100
DISPUTES_AT_MOST = 1000
CHOSEN = Query([], description="ids of finished runs, two to eight; the newest of each method when left out")


class MeasureOut(Schema):
    """The share of right answers to the images of known label that every run answered and none learnt from."""

    label: str = Field(description="what was measured")
    value: float = Field(description="a share in 0 … 1")
    images: int = Field(description="how many images that is, the same for every run of the table")
    is_best: bool = Field(description="whether no other run of the table has a higher one")


class ComparedOut(Schema):
    """One run of the table, and its row of the agreement matrix."""

    run: int
    method: str
    classes_found: int | None
    num_classes: int | None
    label_free_score: float | None = Field(description="how learnable the labels are, 0 … 1; it ranks no methods")
    objection: str = Field(description="why it should not replace its baseline; empty where nothing speaks against it")
    estimated: EstimateOut | None = Field(description="estimated accuracy, where estimates have been shown to hold")
    spot_check: SpotCheckOut | None = Field(description="measured accuracy, once a person has labelled a sample")
    measured: MeasureOut | None = Field(description="measured on true labels, where there are any")
    seconds: float | None
    peak_memory_bytes: int | None
    agreements: list[float | None] = Field(
        description="share of images answered like each run of the table, in its order; null for itself, and where no "
                    "image has both answers; classes are matched one to one where the runs share no class list")


class ComparisonOut(Schema):
    """Runs of a collection side by side, oldest first."""

    runs: list[ComparedOut]
    reviewed: int = Field(description="the run that disputes are listed for unless another is asked: measured best, "
                                      "else the newest that is no baseline")


class AnswerOut(Schema):
    """One of the classes that runs gave a disputed image."""

    label: str
    runs: list[int] = Field(description="ids of the runs that gave it")


class DisputeOut(Schema):
    """An image that the runs answer differently; the commonest answer first."""

    number: int = Field(description="the image's place in its collection; POST /runs/{id}/corrections takes it")
    path: str
    address: str = Field(description="where the picture is")
    answers: list[AnswerOut]
    corrected: str | None = Field(description="what a person made of it, in the run that is reviewed")


class DisputesOut(Schema):
    """A page of images, the most contradicted and least sure first."""

    runs: list[int]
    reviewed: int = Field(description="the run whose answers others contradict, and whose class names are used")
    total: int
    disputes: list[DisputeOut]
    next: int | None = Field(description="send as `page` to get the following ones")


@router.get("/collections/{pk}/comparison", response={200: ComparisonOut, REFUSALS: Error},
            summary="Finished runs side by side, and how far they agree")
def compare(request: HttpRequest, pk: int, run: list[int] = CHOSEN) -> ComparisonOut:
    """Return the figures of the chosen runs and the share of images that each two answer alike."""
    rows = comparison.table(_chosen(get_visible_collection(request, pk), run))
    return ComparisonOut(runs=[_describe(row) for row in rows], reviewed=comparison.reviewed(rows).pk)


@router.get("/collections/{pk}/comparison/disputes", response={200: DisputesOut, REFUSALS: Error},
            summary="The images that runs answer differently, by page")
def disputes(request: HttpRequest, pk: int, run: list[int] = CHOSEN,
             review: int | None = Query(None, description="id of the run whose answers are held against the others'"),
             page: int = Query(1, ge=1, le=1_000_000),
             limit: int = Query(DISPUTES_A_PAGE, ge=1, le=DISPUTES_AT_MOST)) -> DisputesOut:
    """Return images with each answer and who gave it; a correction of the reviewed run settles one."""
    runs = _chosen(get_visible_collection(request, pk), run)
    reviewed = _reviewed(runs, review)
    pages = Paginator(comparison.disputed(reviewed, runs), limit)
    found = pages.get_page(page) if page <= pages.num_pages else ()
    return DisputesOut(
        runs=[one.pk for one in runs], reviewed=reviewed.pk, total=pages.count,
        next=page + 1 if page < pages.num_pages else None,
        disputes=[_dispute(request, reviewed, one) for one in comparison.disputes(reviewed, runs, found)])


def _chosen(collection: Collection, wanted: list[int]) -> list[Run]:
    """Return the runs to be compared; what the page would leave out in silence is refused by number.

    Raises:
        DataError: for a number that is no finished run of the collection, for one alone and for too many.
        ApiError: 409 where there are no two finished runs.
    """
    numbers = sorted(set(wanted))
    if len(numbers) == 1 or len(numbers) > comparison.MOST_RUNS:
        raise DataError("run", f"{len(numbers)} to compare; send two to {comparison.MOST_RUNS}, or none for the newest "
                               "of each method")
    runs = comparison.choose(collection, map(str, numbers))
    missing = set(numbers) - {run.pk for run in runs}
    if missing:
        raise DataError("run", f"{min(missing)} is no finished run of this collection; "
                               f"GET /api/v1/collections/{collection.pk}/runs lists them")
    if len(runs) < 2:
        raise ApiError(HTTPStatus.CONFLICT, f"collection {collection.pk}", "has no two methods with a finished run",
                       "ask again once another run has succeeded, or send the ids of two runs")
    return runs


def _reviewed(runs: list[Run], wanted: int | None) -> Run:
    """Return the run that is reviewed.

    Raises:
        DataError: for one that is not compared.
    """
    if wanted is None:
        return comparison.reviewed(comparison.table(runs))
    for run in runs:
        if run.pk == wanted:
            return run
    raise DataError("review", f"{wanted} is not among the runs compared; send one of "
                              f"{', '.join(str(run.pk) for run in runs)}")


def _describe(row: Compared) -> ComparedOut:
    """Return a row of the table."""
    run, measured, said = row.run, row.measured, row.estimated
    return ComparedOut(
        run=run.pk, method=run.method, classes_found=run.result.get("classes_found"),
        num_classes=run.result.get("num_classes"), label_free_score=run.result.get("label_free_score"),
        objection=str(figures.objection(run, row.checked) or ""),
        estimated=None if said is None else EstimateOut(**asdict(said)),
        spot_check=spot_check_of(row.checked), measured=None if measured is None else MeasureOut(
            label=measured.label, value=measured.value, images=measured.images, is_best=row.measures_best),
        seconds=run.result.get("seconds"), peak_memory_bytes=run.result.get("peak_memory_bytes") or None,
        agreements=list(row.agreements))


def _dispute(request: HttpRequest, reviewed: Run, dispute: Dispute) -> DisputeOut:
    """Return a disputed image."""
    return DisputeOut(
        number=dispute.image.number, path=dispute.image.path,
        address=request.build_absolute_uri(reverse("media:image", args=[dispute.image.pk])),
        answers=[AnswerOut(label=one.name, runs=[run.pk for run in one.runs]) for one in dispute.answers],
        corrected=None if dispute.corrected is None else class_names(reviewed)[dispute.corrected])
