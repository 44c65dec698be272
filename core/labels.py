"""Label files: ``path,label,…`` written for people and spreadsheets, and read back by name."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from core.errors import DataError
from core.names import decode_text

COLUMNS = ("path", "label", "confidence", "margin")
SOURCE, PERSON = "source", "person"
"""Column and word by which a labels.csv from the browser says that a person corrected an answer."""


def write_labels(destination: Path, rows: Iterable[tuple[str, str, float, float]]) -> None:
    """Write (path, label, confidence, margin) rows, whole or not at all."""
    part = destination.with_name(destination.name + ".part")
    with part.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for path, label, confidence, margin in rows:
            writer.writerow([path, label, f"{confidence:.6f}", f"{margin:.6f}"])
    part.replace(destination)


def read_labels(source: Path) -> dict[str, str]:
    """Return path -> label of a CSV whose header names both columns; others are ignored.

    Raises:
        DataError: naming the file and, where one is at fault, the line.
    """
    labels: dict[str, str] = {}
    for line, row in _rows(source):
        path, label = row["path"], row["label"]
        if not path or not label:
            raise DataError(str(source), f"line {line} lacks a path or a label")
        if labels.setdefault(path, label) != label:
            raise DataError(str(source), f"line {line}: {path} already is {labels[path]!r}, now {label!r}")
    if not labels:
        raise DataError(str(source), "has no labels")
    return labels


def read_confidences(source: Path) -> dict[str, float]:
    """Return path -> confidence of a CSV of labels, for the rows that have one.

    Raises:
        DataError: naming the file and the line of one that is no number from 0 to 1.
    """
    found: dict[str, float] = {}
    for line, row in _rows(source):
        said = row.get("confidence", "")
        if not said:
            continue
        try:
            found[row["path"]] = float(said)
        except ValueError:
            found[row["path"]] = -1.0
        if not 0 <= found[row["path"]] <= 1:
            raise DataError(str(source), f"line {line}: the confidence {said!r} is no number from 0 to 1")
    return found


def said_by_people(source: Path) -> frozenset[str]:
    """Return the paths of a CSV of labels that a person answered, by its column source; none where it has none.

    Raises:
        DataError: naming the file, where it is no CSV of labels.
    """
    return frozenset(row["path"] for _, row in _rows(source) if row.get(SOURCE, "").lower() == PERSON)


def _rows(source: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line, column -> value) of each row; columns in lower case, spaces around either left out."""
    try:
        content = source.read_bytes()
    except OSError as error:
        raise DataError(str(source), f"cannot be read: {error.strerror}") from None
    reader = csv.DictReader(io.StringIO(decode_text(content, str(source)), newline=""))
    names = {name.strip().lower(): name for name in reader.fieldnames or ()}
    missing = {"path", "label"} - names.keys()
    if missing:
        columns = " and ".join(sorted(missing))
        raise DataError(str(source), f"has no column {columns}: the first line must be path,label")
    for row in reader:
        yield reader.line_num, {name: (row[column] or "").strip() for name, column in names.items()}


def as_indices(labels: dict[str, str], paths: Sequence[str], class_names: Sequence[str], source: str) -> dict[int, int]:
    """Return image index -> class index of labels given by path and name.

    Raises:
        DataError: for a path that is no image here, or a label that is no class name.
    """
    image_index = {path: index for index, path in enumerate(paths)}
    class_index = {name: index for index, name in enumerate(class_names)}
    for path, label in labels.items():
        if path not in image_index:
            raise DataError(source, f"{path} is not among the images; give paths as labels.csv has them")
        if label not in class_index:
            raise DataError(source, f"{label!r} ({path}) is not among the class names")
    return {image_index[path]: class_index[label] for path, label in labels.items()}
