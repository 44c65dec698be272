"""What a person takes away from a finished run: the model package and the labels, streamed in constant memory."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.db import connections
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_safe

from webapp.config.files import TYPES, file_response
from webapp.review import labels
from webapp.runs.models import Run
from webapp.runs.permissions import get_visible_run
from webapp.spot_checks import card

OUTPUT_BYTES = 200_000
"""Of what a run's process printed, its log carries this much: the end, where a traceback is."""


@require_safe
def package(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Send the run's model package."""
    return package_response(request, get_visible_run(request, pk))


@require_safe
def labels_csv(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Send the standing labels as CSV."""
    return labels_response(request, get_visible_run(request, pk), "csv")


@require_safe
def labels_jsonl(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Send the standing labels as JSON, one object a line."""
    return labels_response(request, get_visible_run(request, pk), "jsonl")


@require_safe
def picture(request: HttpRequest, pk: int, name: str) -> HttpResponseBase:
    """Send one of the pictures that the run's method drew."""
    return picture_response(request, get_visible_run(request, pk), name)


def picture_response(request: HttpRequest, run: Run, name: str) -> HttpResponseBase:
    """Return a picture of a run, by its name in the result.

    Raises:
        Http404: the run has none of this name.
    """
    if name not in (one["name"] for one in run.result.get("pictures") or []):
        raise Http404("this run has no such picture")
    return file_response(request, Path(settings.RUNS_ROOT) / str(run.pk) / "pictures" / f"{name}.png", immutable=True)


@require_safe
def log(request: HttpRequest, pk: int) -> HttpResponse:
    """Send the run's log as text, with what is needed to make sense of it elsewhere."""
    run = get_visible_run(request, pk)
    response = HttpResponse(whole_log(run, with_output=request.user.is_staff), content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = content_disposition_header(True, file_name(run, "log.txt"))
    response["Cache-Control"] = "private, no-store"
    return response


def whole_log(run: Run, *, with_output: bool) -> str:
    """Return what the run was, its log, and its error.

    Args:
        run: in any state.
        with_output: also the end of what its process printed, tracebacks and the server's paths included.
    """
    said = {"run": run.pk, "collection": run.collection.name, "method": run.method, "preset": run.preset or "none",
            "seed": run.seed, "state": run.status, "attempt": run.attempt, "memory halved": run.memory_halvings,
            "created": run.created_at.isoformat(timespec="seconds"), "labelfree": version("labelfree"),
            "settings": json.dumps(run.settings, ensure_ascii=False, sort_keys=True)}
    parts = ["\n".join(f"{name}: {value}" for name, value in said.items()), run.log.rstrip() or "Nothing yet."]
    if run.error:
        parts.append(f"error: {run.error}")
    output = Path(settings.RUNS_ROOT) / str(run.pk) / "output.log"
    if with_output and output.exists():
        parts.append("what its process printed:\n" + _end_of(output))
    return "\n\n".join(parts) + "\n"


def _end_of(path: Path) -> str:
    """Return the last part of a text file."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - OUTPUT_BYTES))
        return file.read().decode(errors="replace").rstrip()


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
    """Draw from a generator that asks the database, always in one thread, which holds its connection."""
    loop, thread = asyncio.get_running_loop(), ThreadPoolExecutor(1, thread_name_prefix="labels")
    try:
        while (text := await loop.run_in_executor(thread, next, texts, None)) is not None:
            yield text
    finally:
        thread.submit(connections.close_all)
        thread.shutdown(wait=False)
