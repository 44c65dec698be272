"""How much of what several runs answered is right: all on the same images, which none of them learnt from.

Shapes: R runs, N images with a true label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.evaluation.matching import best_match
from core.names import fold
from webapp.collections.models import TrueLabel
from webapp.review.names import class_names, has_class_list
from webapp.runs.figures import MEASURES
from webapp.runs.models import Prediction, Run

NO_ANSWER = -1


@dataclass(frozen=True, kw_only=True)
class Share:
    """A run's share of right answers.

    Attributes:
        label: what was measured.
        value: 0 … 1.
        images: how many were asked about.
    """

    label: str
    value: float
    images: int


def shares(runs: Sequence[Run]) -> list[Share | None]:
    """Return each run's share of right answers on the images that all of them are measured on.

    Those are the images of their collection with a true label that are not held out, that every run answered and none
    learnt the label of; None for each run where there is no such image. One query, and one more for each run.

    Args:
        runs: finished ones of one collection.
    """
    truth = _truth(runs)
    if not truth:
        return [None for _ in runs]
    place = {image: at for at, image in enumerate(truth)}
    answers = np.stack([_answers(run, place) for run in runs])  # (R, N)
    shared = (answers != NO_ANSWER).all(axis=0)
    if not shared.any():
        return [None for _ in runs]
    number = {name: at for at, name in enumerate(dict.fromkeys(truth.values()))}
    true = np.array([number[name] for name in truth.values()])[shared]
    return [_share(run, labels, true, number) for run, labels in zip(runs, answers[:, shared], strict=True)]


def _truth(runs: Sequence[Run]) -> dict[int, str]:
    """Return image -> folded true name, of the images that no run learnt the label of."""
    taught = {image for run in runs for image in run.result.get("taught") or []}
    known = TrueLabel.objects.filter(image__collection__in={run.collection_id for run in runs}, image__held_out=False,
                                     image__set_aside=False).values_list("image_id", "name")
    return {image: fold(name) for image, name in known if image not in taught}


def _answers(run: Run, place: Mapping[int, int]) -> NDArray[np.int64]:
    """Return the run's own answer to each image (N,) at its place, `NO_ANSWER` where it has none."""
    answers = np.full(len(place), NO_ANSWER)
    known = Prediction.objects.filter(run=run, image__true_label__isnull=False).values_list("image_id", "class_index")
    for image, class_index in known.iterator():
        if image in place:
            answers[place[image]] = class_index
    return answers


def _share(run: Run, labels: NDArray[np.int64], true: NDArray[np.int64], number: Mapping[str, int]) -> Share:
    """Return a run's share of right answers.

    Args:
        run: where it answers in class names, name is compared with name; else its clusters are matched to them.
        labels: its answers (N,).
        true: the true names (N,), numbered.
        number: folded true name -> its number.
    """
    if has_class_list(run):
        own = np.array([number.get(fold(name), NO_ANSWER) for name in class_names(run)])
        measure, right = "accuracy", int((own[labels] == true).sum())
    else:
        measure, right = "hungarian_accuracy", _matched(labels, true)
    return Share(label=MEASURES[measure][0], value=right / len(true), images=len(true))


def _matched(labels: NDArray[np.int64], true: NDArray[np.int64]) -> int:
    """Return how many answers (N,) are right under the best one-to-one match of clusters to true names (N,)."""
    together = np.zeros((labels.max() + 1, true.max() + 1), dtype=np.int64)
    np.add.at(together, (labels, true), 1)
    return int(together[best_match(together)].sum())
