"""Spot checks for programs: draw a sample, answer one image after another, read what was measured, adopt it."""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus
from typing import Literal

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.urls import reverse
from ninja import Field, Router, Schema, Status

from core.errors import DataError
from core.evaluation.paired import Difference
from core.evaluation.spot_check import Measured
from webapp.api.authentication import REVIEWING
from webapp.api.errors import ApiError
from webapp.api.schemas import (
    NUMBER_AT_MOST,
    REFUSALS,
    DifferenceOut,
    Error,
    MeasuredOut,
    Sent,
    SpotCheckOut,
    Text,
)
from webapp.runs.models import Run
from webapp.runs.permissions import get_reviewable_run, get_visible_run
from webapp.spot_checks import samples
from webapp.spot_checks.models import SampledImage, SpotCheck
from webapp.spot_checks.outcome import Outcome, latest, outcome

router = Router(tags=["spot checks"])
Verdict = SampledImage.Verdict


class SampleIn(Sent):
    """A sample to be drawn."""

    count: int = Field(50, ge=1, le=100_000, description="images to ask about; all where there are fewer")
    design: Literal["uniform", "stratified"] = Field("uniform", description="every image alike, or from every class "
                                                                            "that the model answered, weighted back")


class SampleNamed(Sent):
    """The sample that is meant, so that nobody answers one that another person has drawn meanwhile."""

    spot_check: int = Field(ge=1, le=NUMBER_AT_MOST, description="its id")


class SampleAnswerIn(SampleNamed):
    """What a person says of one image."""

    place: int = Field(ge=0, le=NUMBER_AT_MOST, description="of the image in the sample, as `next` says")
    label: Text | None = Field(None, description="one of the sample's choices, where the verdict is named")
    verdict: Literal["named", "none", "unsure"] = Field("named", description="named, none of the classes (counts as "
                                                                             "wrong) or unsure (counts for nothing)")


class AskedOut(Schema):
    """An image that waits for an answer; what the model said of it is not told."""

    place: int
    number: int = Field(description="the image's place in its collection")
    path: str
    address: str = Field(description="where the picture is")


class MistakeOut(Schema):
    """An image that the model answered otherwise than the person."""

    path: str
    answered: str
    person: str


class SampleOut(Schema):
    """A spot check as it stands."""

    id: int
    run: int
    design: str
    seed: int = Field(description="it follows from the run and the samples drawn before: nobody can draw until one "
                                  "pleases")
    size: int
    done: int
    unsure: int = Field(description="images that the person could not tell")
    is_finished: bool
    choices: list[str] = Field(description="the classes that can be answered")
    next: AskedOut | None = Field(description="the image to answer now; null once each has an answer")
    measured: MeasuredOut | None = Field(description="of the run; null before the end, or where nothing could be told")
    baseline: MeasuredOut | None = Field(description="of the run it is compared with, on the same images")
    difference: DifferenceOut | None = Field(description="from that one")
    mistakes: list[MistakeOut]
    is_adopted: bool = Field(description="whether its answers stand as corrections")


@router.post("/runs/{pk}/spot-check", response={201: SampleOut, REFUSALS: Error}, auth=REVIEWING,
             summary="Draw a random sample of a run's images to be labelled by a person")
def start(request: HttpRequest, pk: int, payload: SampleIn) -> Status[SampleOut]:
    """Draw a sample; it takes the place of an earlier one once it measured something."""
    check = samples.start(get_reviewable_run(request, pk), request.user, payload.count, payload.design)
    return Status(201, _describe(request, check))


@router.get("/runs/{pk}/spot-check", response={200: SampleOut, REFUSALS: Error},
            summary="The newest sample: the next image to answer, or what was measured")
def detail(request: HttpRequest, pk: int) -> SampleOut:
    """Return the newest sample of a run."""
    found = latest(get_visible_run(request, pk))
    if found is None:
        raise ApiError(HTTPStatus.NOT_FOUND, f"run {pk}", "has no spot check yet",
                       f"POST /api/v1/runs/{pk}/spot-check draws a sample")
    return _describe(request, found.spot_check)


@router.post("/runs/{pk}/spot-check/answers", response={200: SampleOut, REFUSALS: Error}, auth=REVIEWING,
             summary="Say what one image of the sample is")
def answer(request: HttpRequest, pk: int, payload: SampleAnswerIn) -> SampleOut:
    """Record an answer and return the next image; the same answer sent twice is no error."""
    check = _sample(get_reviewable_run(request, pk), payload)
    class_index = _class_index(check, payload)
    if not samples.answer(check, payload.place, payload.verdict, class_index):
        _refuse_another(check, payload, class_index)
    return _describe(request, check)


@router.post("/runs/{pk}/spot-check/undo", response={200: SampleOut, REFUSALS: Error}, auth=REVIEWING,
             summary="Take the last answer back")
def undo(request: HttpRequest, pk: int, payload: SampleNamed) -> SampleOut:
    """Ask once more about the image answered last; without an answer nothing happens."""
    check = _sample(get_reviewable_run(request, pk), payload)
    samples.undo(check)
    return _describe(request, check)


@router.post("/runs/{pk}/spot-check/adopt", response={200: SampleOut, REFUSALS: Error}, auth=REVIEWING,
             summary="Make corrections of the sample's answers")
def adopt(request: HttpRequest, pk: int, payload: SampleNamed) -> SampleOut:
    """Record the named classes as corrections, in one action that Review can undo; asking twice is no error."""
    check = _sample(get_reviewable_run(request, pk), payload)
    if check.sampled.filter(verdict=Verdict.OPEN).exists():
        raise ApiError(HTTPStatus.CONFLICT, f"spot check {check.pk}", "is not answered to its end",
                       "answer the sample's `next` until there is none")
    samples.adopt(check, request.user)
    check.refresh_from_db()
    return _describe(request, check)


def _sample(run: Run, payload: SampleNamed) -> SpotCheck:
    """Return the sample that is meant."""
    return get_object_or_404(SpotCheck.objects.select_related("run__class_list_version"), run=run,
                             pk=payload.spot_check)


def _class_index(check: SpotCheck, payload: SampleAnswerIn) -> int | None:
    """Return the class that a label names.

    Raises:
        DataError: for a label that nobody can choose, or one that does not go with the verdict.
    """
    label = payload.label
    if (label is not None) != (payload.verdict == Verdict.NAMED):
        raise DataError("label", "it goes with the verdict named, and with no other; send it, or none or unsure")
    if label is None:
        return None
    index = {name: index for index, name in samples.choices(check.run)}
    if label not in index:
        raise DataError("label", f"{label!r} is no class to choose; send one of the sample's choices")
    return index[label]


def _refuse_another(check: SpotCheck, payload: SampleAnswerIn, class_index: int | None) -> None:
    """Refuse an answer that was not taken, unless it is what stands already."""
    kept = check.sampled.filter(place=payload.place).first()
    if kept is None:
        raise DataError("place", f"the sample has no image at place {payload.place}; send the place of its `next`")
    if (kept.verdict, kept.class_index) != (payload.verdict, class_index):
        raise ApiError(HTTPStatus.CONFLICT, f"place {payload.place}", "has another answer already",
                       "take the last answer back by /undo, or answer the sample's `next`")


def _describe(request: HttpRequest, check: SpotCheck) -> SampleOut:
    """Return a sample as it stands."""
    found, run = outcome(check), check.run
    asked = check.sampled.filter(verdict=Verdict.OPEN).select_related("image").first()
    return SampleOut(
        id=check.pk, run=run.pk, design=check.design, seed=check.seed, size=found.size, done=found.done,
        unsure=found.unsure, is_finished=found.is_finished, choices=[name for _, name in samples.choices(run)],
        next=None if asked is None else AskedOut(
            place=asked.place, number=asked.image.number, path=asked.image.path,
            address=request.build_absolute_uri(reverse("media:image", args=[asked.image_id]))),
        measured=_measured_of(found.measured), baseline=_measured_of(found.baseline),
        difference=_difference_of(found.difference),
        mistakes=[MistakeOut(path=one.path, answered=one.answered, person=one.person) for one in found.mistakes],
        is_adopted=samples.is_adopted(check))


def spot_check_of(found: Outcome | None) -> SpotCheckOut | None:
    """Return what the spot check that stands for a run measured."""
    if found is None or found.measured is None:
        return None
    check = found.spot_check
    return SpotCheckOut(
        **asdict(found.measured), design=check.design, run=check.run_id,
        baseline=_measured_of(found.baseline), difference=_difference_of(found.difference))


def _measured_of(found: Measured | None) -> MeasuredOut | None:
    """Return what was measured, if anything."""
    return None if found is None else MeasuredOut(**asdict(found))


def _difference_of(found: Difference | None) -> DifferenceOut | None:
    return None if found is None else DifferenceOut(**asdict(found))
