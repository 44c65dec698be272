"""CSV files that people bring: read as text in a known encoding, with their columns found by name."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from django.http import HttpRequest

from core.errors import DataError
from core.names import MAX_NAME_CHARACTERS, decode_text, fold, tidy
from webapp.collections.models import Collection, Image

MAX_BYTES = 15 * 1024 * 1024
PATH_COLUMNS = ("path", "file", "filename", "file_name", "file name", "image", "name", "id")
LABEL_COLUMNS = ("label", "class", "truth", "category", "target", "species", "name")
"""What people call these columns, the clearest first."""


def sent_table(request: HttpRequest, file: str) -> tuple[bytes, str]:
    """Return the bytes and the name of the file that a form sent.

    Raises:
        DataError: if there is none, or it is too large.
    """
    sent = request.FILES.get("file")
    if sent is None:
        raise DataError(file, "choose a file first")
    if sent.size > MAX_BYTES:
        raise DataError(sent.name, f"{sent.size // 2**20} MB; at most {MAX_BYTES // 2**20} MB can be read")
    return sent.read(), sent.name


def read_rows(content: bytes, file: str) -> list[tuple[int, list[str]]]:
    """Return the rows that are not empty, each with its line; commas, semicolons or tabs between columns.

    Raises:
        DataError: for a file that is empty, too large or not text.
    """
    if len(content) > MAX_BYTES:
        raise DataError(file, f"{len(content) // 2**20} MB; at most {MAX_BYTES // 2**20} MB can be read")
    text = decode_text(content, file)
    head = text[:10_000]
    separator = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        cells = ((reader.line_num, [cell.strip() for cell in row]) for row in reader)
        rows = [(line, row) for line, row in cells if any(row)]
    except csv.Error as error:
        raise DataError(file, f"not a CSV file: {error} in line {reader.line_num}") from None
    if not rows:
        raise DataError(file, "an empty file")
    return rows


def column(head: list[str], names: tuple[str, ...], besides: int | None = None) -> int | None:
    """Return the place of the first of `names` that heads a column, or None."""
    lower = [cell.lower() for cell in head]
    return next((lower.index(name) for name in names if name in lower and lower.index(name) != besides), None)


class Paths:
    """Finds a collection's images by what a person's file calls them: the whole path, or the file's name alone."""

    def __init__(self, collection: Collection) -> None:
        self.by_path: dict[str, list[int]] = {}
        self.by_name: dict[str, set[str]] = {}
        for pk, path in Image.objects.filter(collection=collection).values_list("pk", "path"):
            self.by_path.setdefault(path, []).append(pk)
            self.by_name.setdefault(PurePosixPath(path).name, set()).add(path)

    def find(self, path: str) -> list[int]:
        """Return the images of that path; of that file name where only one path has it; else []."""
        path = path.replace("\\", "/").removeprefix("./").lstrip("/")
        if path in self.by_path:
            return self.by_path[path]
        candidates = self.by_name.get(PurePosixPath(path).name, set())
        fitting = {one for one in candidates if one.endswith("/" + path) or path.endswith("/" + one)} or (
            candidates if "/" not in path else set())
        return self.by_path[fitting.pop()] if len(fitting) == 1 else []


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """What a file says of a collection's images.

    Attributes:
        names: image id -> (line, label).
        unknown_paths: paths that are no image of the collection, in the file's order.
    """

    names: dict[int, tuple[int, str]]
    unknown_paths: tuple[str, ...]


def read_labels(collection: Collection, rows: Sequence[tuple[int, list[str]]], file: str) -> Labelled:
    """Find the images that rows of path and label, as `read_rows` gives them, speak of.

    Raises:
        DataError: naming the line, for rows that lack one of the two, contradict each other or fit no image.
    """
    paths = Paths(collection)
    names: dict[int, tuple[int, str]] = {}
    unknown: list[str] = []
    for line, path, label in _labels(rows, file):
        found = paths.find(path)
        if not found:
            unknown.append(path)
        for pk in found:
            earlier = names.setdefault(pk, (line, label))
            if fold(earlier[1]) != fold(label):
                raise DataError(
                    file, f"line {line} calls {path} {label!r}, but line {earlier[0]} calls it {earlier[1]!r}")
    if not names:
        raise DataError(
            file, f"none of its {len(unknown)} paths is an image of this collection, for example {unknown[0]!r}")
    return Labelled(names=names, unknown_paths=tuple(unknown))


def _labels(rows: Sequence[tuple[int, list[str]]], file: str) -> list[tuple[int, str, str]]:
    """Return (line, path, label) of every row."""
    path_at, label_at, has_head = _columns(rows[0][1])
    found = []
    for line, row in rows[1:] if has_head else rows:
        if len(row) <= max(path_at, label_at):
            raise DataError(file, f"line {line} has {len(row)} column(s); a path and a label are needed: path,label")
        label = tidy(row[label_at])
        if not row[path_at] or not label:
            raise DataError(file, f"line {line} has no {'path' if not row[path_at] else 'label'}")
        if len(label) > MAX_NAME_CHARACTERS:
            raise DataError(file, f"line {line}: a label of {len(label)} characters; at most {MAX_NAME_CHARACTERS}")
        found.append((line, row[path_at], label))
    if not found:
        raise DataError(file, "a head without rows")
    return found


def _columns(first: list[str]) -> tuple[int, int, bool]:
    """Return the places of path and label, and whether the first row is a head."""
    path = column(first, PATH_COLUMNS)
    label = column(first, LABEL_COLUMNS, besides=path)
    if path is not None and label is not None:
        return path, label, True
    return 0, 1, False
