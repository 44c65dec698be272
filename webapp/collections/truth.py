"""The truth about a collection's images, from a person's CSV. Only evaluation reads what is stored here."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction

from core.errors import DataError
from core.names import MAX_NAME_CHARACTERS, fold, tidy
from webapp.collections.models import Collection, TrueLabel
from webapp.collections.tables import LABEL_COLUMNS, PATH_COLUMNS, Paths, column, read_rows

FILE = "truth CSV"


@dataclass(frozen=True, kw_only=True)
class TruthReport:
    """What a truth CSV brought.

    Attributes:
        labelled: images that have a true label now.
        images: images of the collection.
        unknown_paths: paths of the file that are no image of the collection (the first few).
        unknown_path_count: how many such lines there are.
        unknown_names: labels that are not on the collection's class list.
    """

    labelled: int
    images: int
    unknown_paths: tuple[str, ...]
    unknown_path_count: int
    unknown_names: tuple[str, ...]


def _columns(first: list[str]) -> tuple[int, int, bool]:
    """Return the places of path and label, and whether the first row is a head."""
    path = column(first, PATH_COLUMNS)
    label = column(first, LABEL_COLUMNS, besides=path)
    if path is not None and label is not None:
        return path, label, True
    return 0, 1, False


def _parse(content: bytes, file: str) -> list[tuple[int, str, str]]:
    """Return (line, path, label) of every row."""
    rows = read_rows(content, file)
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


def store_truth(collection: Collection, content: bytes, file: str = FILE) -> TruthReport:
    """Read a CSV of path and label and make it the collection's truth, in place of an earlier one.

    Raises:
        DataError: naming the line, for a file that cannot be read, contradicts itself or fits no image.
    """
    paths = Paths(collection)
    labels: dict[int, tuple[int, str]] = {}
    unknown: list[str] = []
    for line, path, label in _parse(content, file):
        found = paths.find(path)
        if not found:
            unknown.append(path)
        for pk in found:
            earlier = labels.setdefault(pk, (line, label))
            if fold(earlier[1]) != fold(label):
                raise DataError(
                    file, f"line {line} calls {path} {label!r}, but line {earlier[0]} calls it {earlier[1]!r}")
    if not labels:
        raise DataError(
            file, f"none of its {len(unknown)} paths is an image of this collection, for example {unknown[0]!r}")
    names = collection.class_list_version.names if collection.class_list_version else []
    known = {fold(name): name for name in names}
    with transaction.atomic():
        remove_truth(collection)
        TrueLabel.objects.bulk_create(
            [TrueLabel(image_id=pk, name=known.get(fold(label), label)) for pk, (_, label) in labels.items()],
            batch_size=1000)
    strange = sorted({label for _, label in labels.values() if fold(label) not in known}) if known else []
    return TruthReport(labelled=len(labels), images=collection.images.count(), unknown_paths=tuple(unknown[:5]),
                       unknown_path_count=len(unknown), unknown_names=tuple(strange))


def remove_truth(collection: Collection) -> int:
    """Forget the collection's truth; return how many labels there were."""
    return TrueLabel.objects.filter(image__collection=collection).delete()[0]
