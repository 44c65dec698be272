"""CSV files that people bring: read as text in a known encoding, with their columns found by name."""

from __future__ import annotations

import csv
import io
from pathlib import PurePosixPath

from core.errors import DataError
from core.names import decode_text
from webapp.collections.models import Collection, Image

MAX_BYTES = 15 * 1024 * 1024
PATH_COLUMNS = ("path", "file", "filename", "file_name", "file name", "image", "name", "id")
LABEL_COLUMNS = ("label", "class", "truth", "category", "target", "species", "name")
"""What people call these columns, the clearest first."""


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
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
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
