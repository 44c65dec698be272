"""The labels that people gave a collection's images in review, over all its runs: what a method may learn from.

A truth CSV is another table (`webapp.collections.models.TrueLabel`), which nothing here reads.
"""

from __future__ import annotations

from core.names import fold
from webapp.collections.models import ClassListVersion, Collection
from webapp.review.models import Correction
from webapp.review.names import ANSWERING_IN_NAMES
from webapp.runs.models import Run


def confirmed_labels(collection: Collection, version: ClassListVersion | None) -> dict[str, int]:
    """Return file -> class index in `version` of every picture that a person confirmed or corrected.

    Counted is what was said of any run of the collection with any version of this class list, was not undone and is not
    in the trash with its run.
    The newest word on a picture wins, whichever of its copies it was said of; where `version` has that class no
    more, the picture has no label. What is held out stays out of reach.
    """
    if version is None:
        return {}
    names = dict(ClassListVersion.objects.filter(class_list=version.class_list_id).values_list("pk", "names"))
    held_out = set(collection.images.filter(held_out=True).values_list("file", flat=True))
    said = Correction.objects.filter(
        image__collection=collection, action__undone_at=None, action__run__trashed_at=None,
        action__run__class_list_version__class_list=version.class_list_id,
        action__run__in=Run.objects.filter(ANSWERING_IN_NAMES),  # what a cluster is called may change
    ).order_by("action_id").values_list("image__file", "class_index", "action__run__class_list_version_id")
    newest = {file: names[asked][class_index] for file, class_index, asked in said.iterator() if file not in held_out}
    index = {fold(name): place for place, name in enumerate(version.names)}
    return {file: index[fold(name)] for file, name in newest.items() if fold(name) in index}
