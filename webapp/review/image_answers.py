"""What the finished runs of a collection say of one image, and what people said of it in their reviews."""

from __future__ import annotations

from dataclasses import dataclass

from webapp.collections.models import Image
from webapp.review.models import Correction
from webapp.review.names import class_names, name_at
from webapp.runs.models import Prediction, Run

NEWEST = 20
"""Runs that are listed: each may ask the database for the names of its groups."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one run says of an image, as it stands.

    Attributes:
        run: finished.
        name: of the class.
        confidence: the model's, 0 … 1; None where a person answered.
        instead_of: what the model had answered where a person corrected it, else "".
        author: the person's user name; "" for the model, and for a person since removed.
    """

    run: Run
    name: str
    confidence: float | None
    instead_of: str = ""
    author: str = ""


def answers_to(image: Image) -> list[Answer]:
    """Return what the newest runs that answered an image say of it, the newest first."""
    said: dict[int, tuple[int, str]] = {}
    for run, class_index, author in Correction.objects.filter(image=image, action__undone_at=None).order_by(
            "action_id").values_list("action__run_id", "class_index", "action__author__username"):
        said[run] = class_index, author or ""  # the newest stands
    found = Prediction.objects.filter(image=image, run__trashed_at=None, run__status=Run.Status.SUCCEEDED).order_by(
        "-run_id").select_related("run__class_list_version")[:NEWEST]
    return [_answer(one, said.get(one.run_id)) for one in found]


def _answer(model: Prediction, said: tuple[int, str] | None) -> Answer:
    """Return the model's answer, or what a person said instead: their class and user name."""
    names = class_names(model.run)
    own = name_at(names, model.class_index)
    if said is None:
        return Answer(run=model.run, name=own, confidence=model.confidence)
    class_index, author = said
    return Answer(run=model.run, name=name_at(names, class_index), confidence=None, author=author,
                  instead_of="" if class_index == model.class_index else own)
