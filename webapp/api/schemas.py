"""What goes in and comes out of the API, typed; the OpenAPI page is made from these."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from ninja import Field, Schema
from pydantic import ConfigDict, StringConstraints

from webapp.collections.forms import MAX_CLASSES

REFUSALS = frozenset({401, 403, 404, 409, 413, 422})
"""The status codes that come with an `Error`."""
NUMBER_AT_MOST = 2**31 - 1
"""Of an image in its collection; a larger one fits no column of the database."""
Line = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*$")]
"""Text without control characters: Postgres stores no NUL, and nobody types the others."""
Text = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]


class Sent(Schema):
    """What a program sends; a field that is none is refused, for it was meant to do something."""

    model_config = ConfigDict(extra="forbid")


class ErrorBody(Schema):
    """What it is about, why it was refused, and what to do."""

    what: str
    reason: str
    fix: str


class Error(Schema):
    """Every answer of 400 and above."""

    error: ErrorBody


class ClassListIn(Sent):
    """A new class list."""

    name: Line = Field(max_length=100)
    names: list[str] = Field(description="class names, in order")


class NamesIn(Sent):
    """The names of a class list's next version."""

    names: list[str] = Field(description="class names, in order; they become a new version")


class ClassListOut(Schema):
    """One version of a class list."""

    id: int
    name: str
    version: int
    names: list[str]


class CollectionIn(Sent):
    """A new collection."""

    name: Line = Field(min_length=1, max_length=200)
    mirror: bool = Field(True, description="whether images mirrored left to right mean the same")


class CollectionChange(Sent):
    """What is to be changed; what is left out stays."""

    name: Line | None = Field(None, min_length=1, max_length=200)
    mirror: bool | None = None
    class_list: int | None = Field(None, description="id of a class list, its newest version is taken; null for none")
    num_classes: int | None = Field(None, ge=2, le=MAX_CLASSES, description="without names; null for don't know")


class UploadOut(Schema):
    """A file on its way in."""

    id: str
    name: str
    status: str
    size_bytes: int
    received_bytes: int
    message: str


class RefusalOut(Schema):
    """A file that could not become an image, and why."""

    path: str
    reason: str


class CollectionOut(Schema):
    """A collection as it stands."""

    id: int
    name: str
    mirror: bool
    class_list: ClassListOut | None
    num_classes: int | None
    images: int
    duplicates: int = Field(description="images that are exact copies of another")
    held_out: int
    true_labels: int
    pending_uploads: list[UploadOut] = Field(description="not yet turned into images; at most 100 are listed")
    pending_upload_count: int
    refusals: list[RefusalOut] = Field(description="files that could not become images; at most 100 are listed")
    refusal_count: int
    left_out_count: int = Field(description="hidden files and those of an operating system, passed over")
    created_at: datetime


class CollectionListOut(Schema):
    """A page of collections."""

    collections: list[CollectionOut]
    next: int | None = Field(description="send as `before` to get older ones")


class HoldOutIn(Sent):
    """The part to keep out of adaptation: a share drawn with a seed, or a list of paths."""

    percent: int | None = Field(None, description="1 to 90; exact duplicates go together")
    seed: int = Field(0, ge=0, le=NUMBER_AT_MOST)
    paths: list[str] | None = Field(None, min_length=1, description="of the images, in place of a share")


class TruthOut(Schema):
    """What a truth CSV brought."""

    labelled: int
    images: int
    unknown_paths: list[str]
    unknown_path_count: int
    unknown_names: list[str]


class RunIn(Sent):
    """A run to be started."""

    method: str
    settings: dict[str, Text | bool | int | float | None] = Field(default_factory=dict)
    preset: str = Field("", description="a name of the method's presets; the recommended one when left out")
    seed: int = 0
    class_list: int | None = Field(None, description="asks these names instead of the collection's question")
    num_classes: int | None = Field(None, ge=2, le=MAX_CLASSES, description="asks this number instead")
    warm_up: int | None = Field(None, description="id of a larger collection for MUST's warm-up")
    replay: int | None = Field(None, description="id of a collection like what the foundation model learnt from, for "
                                                 "unsupervised finetuning")
    also: list[int] = Field(default_factory=list, max_length=100, description="ids of further collections that MUST "
                            "adapts to with the same names; the run answers its own collection alone")
    start_from: int | None = Field(None, description="id of a finished run whose adapted encoder takes the place of "
                                                     "the published weights")


class MeasuredOut(Schema):
    """Accuracy measured on a random sample with its 95 % interval, shares in 0 … 1."""

    accuracy: float
    low: float
    high: float
    answered: int = Field(description="images a person labelled")


class DifferenceOut(Schema):
    """A run's share of right answers less its baseline's on the same images, -1 … 1, with its 95 % interval."""

    value: float
    low: float = Field(description="above 0 the run is shown to be better")
    high: float = Field(description="below 0 the baseline is")


class SpotCheckOut(MeasuredOut):
    """What a person's labels for a random sample measured, and how it was drawn."""

    unsure: int = Field(description="images of the sample that nobody could tell")
    design: str = Field(description="uniform, or stratified by the answered class and weighted back")
    seed: int
    run: int = Field(description="whose sample it is: this run's, or another's that answered the same images")
    baseline: MeasuredOut | None = Field(description="of the run it is compared with, on the same images")
    difference: DifferenceOut | None = Field(description="from that one")


class PictureOut(Schema):
    """A picture that the method drew, and what stands beside it."""

    name: str
    title: str
    caption: str
    columns: list[str] = Field(description="headings of its columns, from the left")
    rows: list[str] = Field(description="names of its rows, from the top")
    address: str = Field(description="where the PNG is")


class EstimateOut(Schema):
    """Accuracy as estimated without labels, with its 90 % interval, 0 … 1; of groups, after their best match."""

    accuracy: float
    low: float
    high: float


class RunOut(Schema):
    """A run as its row says; `result` is there once it has succeeded."""

    id: int
    collection: int
    method: str
    preset: str
    settings: dict[str, Any]
    seed: int
    class_names: list[str]
    num_classes: int | None
    also: list[int] = Field(description="ids of the further collections that it adapts to")
    start_from: int | None = Field(description="the run with whose encoder it begins")
    baseline: int | None = Field(description="the run it is compared with")
    status: str = Field(description="queued, running, paused, succeeded, failed or cancelled")
    cancel_requested: bool
    attempt: int
    stage: str
    percent: int
    step: int
    total: int
    images_per_second: float | None
    seconds_left: float | None
    queue_position: int | None
    notice: str = Field(description="what is wrong with the workers, if anything")
    error: str
    retryable: bool
    result: dict[str, Any] | None
    pictures: list[PictureOut] = Field(description="what the method drew; there once it has succeeded")
    alarm: str = Field(description="while it runs: what looks like the beginning of a collapse, if anything")
    objection: str = Field(description="why it should not replace its baseline; empty where nothing speaks against it")
    estimated: EstimateOut | None = Field(description="estimated accuracy, where estimates have been shown to hold")
    spot_check: SpotCheckOut | None = Field(description="measured accuracy, once a person has labelled a sample")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    page: str


class RunListOut(Schema):
    """A page of runs."""

    runs: list[RunOut]
    next: int | None = Field(description="send as `before` to get older ones")


class PredictionOut(Schema):
    """The model's own answer for one image."""

    number: int = Field(description="the image's place in its collection")
    path: str
    class_index: int
    label: str
    confidence: float
    margin: float
    top: list[tuple[int, float]] = Field(description="class index and probability, at most five")


class PredictionsOut(Schema):
    """A page of answers."""

    class_names: list[str]
    predictions: list[PredictionOut]
    next: int | None = Field(description="send as `after` to get the following ones")


class SettingOut(Schema):
    """One setting of a method."""

    name: str
    label: str
    help: str
    symbol: str
    default: str | bool | int | float | None
    low: float | None
    high: float | None
    choices: list[str]


class MethodOut(Schema):
    """One method."""

    name: str
    title: str
    summary: str
    needs: str = Field(description="names, count (names or their number) or nothing")
    joins: bool = Field(description="whether its runs may adapt to further collections too")
    settings: list[SettingOut]
    presets: dict[str, dict[str, Any]]
