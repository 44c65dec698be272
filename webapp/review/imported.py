"""Labels that a person brings as a CSV of path and label: corrections like those made by clicking, undone as one."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.models import AbstractBaseUser

from core.errors import DataError
from core.names import fold
from webapp.collections.tables import column, read_labels, read_rows
from webapp.review import actions
from webapp.review.names import class_names
from webapp.runs.models import Run

FILE = "labels CSV"
SOURCE, MODEL = "source", "model"
"""Column and word by which a labels.csv of ours says that nobody has looked at an answer."""


@dataclass(frozen=True, kw_only=True)
class ImportReport:
    """What a labels CSV brought.

    Attributes:
        labelled: images that have a person's label by it.
        description: of the review action that it became.
        unknown_paths: paths of the file that are no image of the collection (the first few).
        unknown_path_count: how many such lines there are.
        models_own: lines that are a model's answers, by the file's own word; they teach nothing and are left out.
    """

    labelled: int
    description: str
    unknown_paths: tuple[str, ...]
    unknown_path_count: int
    models_own: int


def correct_listed(run: Run, author: AbstractBaseUser, content: bytes, file: str = FILE) -> ImportReport:
    """Record what a CSV says of a run's images, as one correction.

    Raises:
        DataError: naming the line, for a file that cannot be read, contradicts itself, fits no image or names a class
            that the run does not have.
    """
    rows = read_rows(content, file)
    source = column(rows[0][1], (SOURCE,))
    said = rows if source is None else [
        row for row in rows if len(row[1]) <= source or row[1][source].lower() != MODEL]
    if len(said) == 1 < len(rows):
        raise DataError(file, f"all its {len(rows) - 1:,} labels are a model's, by its column {SOURCE}; "
                              "bring labels that a person gave")
    found = read_labels(run.collection, said, file)
    names = class_names(run)
    index = {fold(name): place for place, name in enumerate(names)}
    for line, label in found.names.values():
        if fold(label) not in index:
            raise DataError(file, f"line {line}: {label!r} is no class of this run; its classes are {_some(names)}")
    action = actions.correct_each(run, author, {image: index[fold(label)] for image, (_, label) in found.names.items()},
                                  "took from a file the labels of")
    return ImportReport(labelled=len(found.names), description=action.description,
                        unknown_paths=found.unknown_paths[:5], unknown_path_count=len(found.unknown_paths),
                        models_own=len(rows) - len(said))


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
