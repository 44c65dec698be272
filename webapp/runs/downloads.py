"""What a person takes away from a finished run: the model package and the labels, streamed in constant memory."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.http import Http404, HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_safe

from webapp.config.files import TYPES, file_response
from webapp.review import labels
from webapp.runs.models import Run
from webapp.runs.permissions import get_own_run
from webapp.spot_checks import card


@require_safe
def package(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Send the run's model package."""
    return package_response(request, get_own_run(request, pk))


@require_safe
def labels_csv(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Send the standing labels as CSV."""
    return labels_response(request, get_own_run(request, pk), "csv")


@require_safe
def labels_jsonl(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Send the standing labels as JSON, one object a line."""
    return labels_response(request, get_own_run(request, pk), "jsonl")


def package_response(request: HttpRequest, run: Run) -> HttpResponseBase:
    """Return the zip of a run's package, whole or the part that is asked for.

    Raises:
        Http404: the run has none.
    """
    if run.status != Run.Status.SUCCEEDED:
        raise Http404("this run has no package")
    path = Path(settings.RUNS_ROOT) / str(run.pk) / "package.zip"
    card.refresh(run, path)
    return file_response(request, path, download_as=file_name(run, "model.zip"))


def labels_response(request: HttpRequest, run: Run, ending: str) -> StreamingHttpResponse:
    """Return the labels of a run as they stand, as "csv" or "jsonl".

    Raises:
        Http404: the run has not answered anything.
    """
    if run.status != Run.Status.SUCCEEDED:
        raise Http404("this run has no labels")
    texts = labels.labels_csv(run) if ending == "csv" else labels.labels_jsonl(run)
    response = StreamingHttpResponse(_one_by_one(texts) if isinstance(request, ASGIRequest) else texts,
                                     content_type=TYPES[f".{ending}"])
    response["Content-Disposition"] = content_disposition_header(True, file_name(run, f"labels.{ending}"))
    response["Cache-Control"] = "private, no-store"
    return response


def file_name(run: Run, what: str) -> str:
    """Return a name that says which collection and run it is of, so that ten downloads stay apart."""
    name = re.sub(r"[^\w-]+", "-", run.collection.name).strip("-").lower()[:60] or "collection"
    return f"{name}-run-{run.pk}-{what}"


async def _one_by_one(texts: Iterator[str]) -> AsyncIterator[str]:
    """Draw from a generator that asks the database, always on the thread that holds its connection."""
    following = sync_to_async(partial(next, texts, None))
    while (text := await following()) is not None:
        yield text
