"""Label files: ``path,label,…`` written for people and spreadsheets, and read back by name."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from core.errors import DataError
from core.names import decode_text, fold
from core.table_file import write_table

COLUMNS = ("path", "label", "confidence", "margin")
SOURCE, PERSON = "source", "person"
"""Column and word by which a labels.csv from the browser says that a person corrected an answer."""


def write_labels(destination: Path, rows: Iterable[tuple[str, str, float, float]]) -> None:
    """Write (path, label, confidence, margin) rows, whole or not at all."""
    write_table(destination, itertools.chain([COLUMNS], (
        (path, label, f"{confidence:.6f}", f"{margin:.6f}") for path, label, confidence, margin in rows)))


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


def read_given_labels(source: Path) -> dict[str, str]:
    """Return path -> label of what a person said: all of a CSV, or where it has a column source, what that says.

    Raises:
        DataError: as `read_labels`; where nobody but a model said anything.
    """
    labels, columns = read_labels(source), next(row for _, row in _rows(source)).keys()
    if SOURCE in columns:
        people = said_by_people(source)
        labels = {path: label for path, label in labels.items() if path in people}
    elif "confidence" in columns:
        raise DataError(str(source), "is what a model answered: it has a column confidence; keep the lines that a "
                                     "person checked, and their path and label alone")
    if not labels:
        raise DataError(str(source), f"its column {SOURCE} says that a model answered every line; confirm or correct "
                                     "some images in review first")
    return labels


def read_paths(source: Path) -> list[str]:
    """Return the paths of a file, one a line, without the empty ones.

    Raises:
        DataError: where it cannot be read, or is no text.
    """
    try:
        content = source.read_bytes()
    except OSError as error:
        raise DataError(str(source), f"cannot be read: {error.strerror}") from None
    lines = decode_text(content, str(source)).split("\n")  # splitlines would cut a path at a vertical tab or U+2028
    return [line.removesuffix("\r") for line in lines if line.strip()]


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
    """Yield (line, column -> value) of each row; columns in lower case, spaces around either left out.

    A path keeps its spaces, for a file's name may begin or end with one, unless the first line has some around a
    column: then somebody writes them after every comma.
    """
    try:
        content = source.read_bytes()
    except OSError as error:
        raise DataError(str(source), f"cannot be read: {error.strerror}") from None
    reader = csv.DictReader(io.StringIO(decode_text(content, str(source)), newline=""), strict=True)
    names = {name.strip().lower(): name for name in reader.fieldnames or ()}
    missing = {"path", "label"} - names.keys()
    if missing:
        columns = " and ".join(sorted(missing))
        raise DataError(str(source), f"has no column {columns}: the first line must be path,label")
    as_it_is = () if any(column != column.strip() for column in names.values()) else ("path",)
    try:
        for row in reader:
            values = {name: row[column] or "" for name, column in names.items()}
            yield reader.line_num, {name: value if name in as_it_is else value.strip()
                                    for name, value in values.items()}
    except csv.Error:  # what follows would all be part of one cell
        raise DataError(str(source), f"line {reader.reader.line_num}: a quotation mark is not closed, or text follows "
                                     "one; close it, or double those within a cell") from None


def as_indices(labels: dict[str, str], paths: Sequence[str], class_names: Sequence[str], source: str) -> dict[int, int]:
    """Return image index -> class index of labels given by path and name, whose case and spaces do not matter.

    Raises:
        DataError: for a path that is no image here, or a label that is no class name.
    """
    image_index = {path: index for index, path in enumerate(paths)}
    class_index = {fold(name): index for index, name in enumerate(class_names)}
    for path, label in labels.items():
        if path not in image_index:
            raise DataError(source, f"{path} is not among the images; give paths as labels.csv has them")
        if fold(label) not in class_index:
            raise DataError(source, f"{label!r} ({path}) is not among the class names")
    return {image_index[path]: class_index[fold(label)] for path, label in labels.items()}
