"""What is asked of a collection, and which methods can be asked it. No torch here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from core.catalog import METHODS, Settings, learns_from_labels


def fewest_labels(labels: Iterable[int], num_classes: int) -> int:
    """Return how many labels the class has that has the fewest; 0 without classes."""
    counts = Counter(labels)
    return min((counts[label] for label in range(num_classes)), default=0)


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked of a collection: names, or a number, or neither.

    Attributes:
        labelled: how many of the images a person confirmed or corrected, for these names.
        labels_per_class: how many of them the class has that has the fewest.
        confirmed: share of zero-shot's answers that groups without names confirm, 0 … 1; None before there are any.
    """

    num_images: int
    class_names: tuple[str, ...] = ()
    num_classes: int | None = None
    labelled: int = 0
    labels_per_class: int = 0
    confirmed: float | None = None

    @property
    def count(self) -> int | None:
        """Return K, or None for "don't know"."""
        return len(self.class_names) or self.num_classes


class Obstacle(NamedTuple):
    """Why a method cannot be asked a question.

    Attributes:
        reason, fix: a sentence each.
        lacking: "classes" or "labels".
    """

    reason: str
    fix: str
    lacking: str


def obstacle(method: str, question: Question, settings: Settings | None = None) -> Obstacle | None:
    """Return why `method` (with `settings`, else its defaults) cannot be asked this question, or None when it can."""
    needs = METHODS[method].needs
    if needs == "names" and not question.class_names:
        return Obstacle("It needs class names, and this collection has none.", "Give class names", "classes")
    if needs == "count" and question.count is None:
        return Obstacle("It needs to know how many classes there are.", "Give names or a number", "classes")
    if method != "zeroshot" and question.count is not None and 0 < question.num_images < question.count:
        return Obstacle(f"{question.count:,} classes for {question.num_images:,} images, over all of which it would "
                        "spread them. Only zero-shot, which learns nothing, takes a list longer than the collection.",
                        "Give fewer classes, or add images", "classes")
    chosen = settings or METHODS[method].settings()
    if not question.class_names and learns_from_labels(chosen) and not getattr(chosen, "oracle", False):
        return Obstacle("Labels name groups, or teach a classifier, only where there are class names.",
                        "Give class names", "classes")
    if learns_from_labels(chosen) and not question.labelled:
        return Obstacle("It learns from images that you confirmed or corrected in review, and there are none with "
                        "these class names yet. Review’s order “Most telling first” shows which teach most; it takes "
                        "labels from a CSV too.",
                        "Review a run", "labels")
    return None
