"""The labels that stand after review, and their files: one row an image, in the collection's order.

An image's standing label is the newest correction of a `ReviewAction` of that run that is not undone,
else the run's own prediction.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from webapp.collections.spreadsheets import guard_formula
from webapp.review.models import Correction
from webapp.review.names import class_names, name_at
from webapp.runs.models import Prediction, Run

COLUMNS = ("path", "label", "confidence", "margin", "source")
CHUNK_ROWS = 1000


@dataclass(frozen=True, kw_only=True)
class StandingLabel:
    """One image's label as it stands.

    Attributes:
        path: the person's own name for the image, with folders.
        label: the class name; `class_index` is its place in the run's names.
        confidence, margin: the model's, 0 … 1; None where a person answered, for their word is no probability.
        source: who answered.
        author: the person's user name; "" for the model, and for a person since removed.
    """

    image_id: int
    path: str
    class_index: int
    label: str
    confidence: float | None
    margin: float | None
    source: Literal["model", "person"]
    author: str


def standing_labels(run: Run) -> Iterator[StandingLabel]:
    """Yield every image's standing label in the collection's order, in constant memory.

    Two ordered queries, predictions and standing corrections, are merged as they stream.
    """
    names = class_names(run)
    predictions = Prediction.objects.filter(run=run).order_by("image__number").values_list(
        "image_id", "image__number", "image__path", "class_index", "confidence", "margin")
    corrections = Correction.objects.filter(action__run=run, action__undone_at=None).order_by(
        "image__number", "-action_id").values_list("image__number", "class_index", "action__author__username")
    spoken = corrections.iterator(chunk_size=CHUNK_ROWS)
    next_spoken = next(spoken, None)
    for image_id, number, path, class_index, confidence, margin in predictions.iterator(chunk_size=CHUNK_ROWS):
        while next_spoken is not None and next_spoken[0] < number:
            next_spoken = next(spoken, None)
        if next_spoken is not None and next_spoken[0] == number:
            yield StandingLabel(image_id=image_id, path=path, class_index=next_spoken[1],
                                label=name_at(names, next_spoken[1]), confidence=None, margin=None, source="person",
                                author=next_spoken[2] or "")
        else:
            yield StandingLabel(image_id=image_id, path=path, class_index=class_index,
                                label=name_at(names, class_index), confidence=confidence, margin=margin,
                                source="model", author="")


def labels_csv(run: Run) -> Iterator[str]:
    """Yield the standing labels as CSV text, some hundred rows at a time, ready to be streamed.

    A path or a label that a spreadsheet would run as a formula (it begins with ``= + - @``, a tab or a
    line break) gets an apostrophe in front, as OWASP advises; `labels_jsonl` carries every name unchanged.
    Confidence and margin are empty where a person answered.
    """
    yield ",".join(COLUMNS) + "\r\n"
    for rows in _chunks(standing_labels(run)):
        text = io.StringIO()
        writer = csv.writer(text)
        for row in rows:
            writer.writerow((guard_formula(row.path), guard_formula(row.label), _decimal(row.confidence),
                             _decimal(row.margin), row.source))
        yield text.getvalue()


def labels_jsonl(run: Run) -> Iterator[str]:
    """Yield the standing labels as JSON, an object a line: the CSV's columns and `author`."""
    for rows in _chunks(standing_labels(run)):
        yield "".join(json.dumps({
            "path": row.path, "label": row.label, "confidence": row.confidence, "margin": row.margin,
            "source": row.source, "author": row.author}, ensure_ascii=False) + "\n" for row in rows)


def _decimal(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"


def _chunks(rows: Iterable[StandingLabel]) -> Iterator[list[StandingLabel]]:
    chunk: list[StandingLabel] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == CHUNK_ROWS:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
