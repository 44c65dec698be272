"""The truth about a collection's images, from a person's CSV. Only evaluation reads what is stored here."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction

from core.names import fold
from webapp.collections.models import Collection, TrueLabel
from webapp.collections.tables import read_labels, read_rows

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


def store_truth(collection: Collection, content: bytes, file: str = FILE) -> TruthReport:
    """Read a CSV of path and label and make it the collection's truth, in place of an earlier one.

    Raises:
        DataError: naming the line, for a file that cannot be read, contradicts itself or fits no image.
    """
    found = read_labels(collection, read_rows(content, file), file)
    names = collection.class_list_version.names if collection.class_list_version else []
    known = {fold(name): name for name in names}
    with transaction.atomic():
        Collection.objects.select_for_update(no_key=True).get(pk=collection.pk)  # a second click waits for the first
        remove_truth(collection)
        TrueLabel.objects.bulk_create(
            [TrueLabel(image_id=pk, name=known.get(fold(label), label)) for pk, (_, label) in found.names.items()],
            batch_size=1000)
    strange = sorted({label for _, label in found.names.values() if fold(label) not in known}) if known else []
    return TruthReport(labelled=len(found.names), images=collection.images.count(),
                       unknown_paths=found.unknown_paths[:5], unknown_path_count=len(found.unknown_paths),
                       unknown_names=tuple(strange))


def remove_truth(collection: Collection) -> int:
    """Forget the collection's truth; return how many labels there were."""
    return TrueLabel.objects.filter(image__collection=collection).delete()[0]
