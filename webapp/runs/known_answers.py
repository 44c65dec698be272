"""How much of what several runs answered is right: all on the same images, which none of them learnt from.

Shapes: R runs, N images with a true label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr

from core.evaluation.matching import best_match
from core.names import fold
from webapp.collections.models import TrueLabel
from webapp.review.names import class_names, has_class_list
from webapp.runs.figures import MEASURES, outdone
from webapp.runs.models import Prediction, Run

NO_ANSWER = -1
SAME = 1e-6
"""Shares that differ by less were counted on the same answers."""
CHANCE = 0.05
"""A difference that chance alone makes at least this often may be chance."""


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


@dataclass(frozen=True, kw_only=True)
class Known:
    """What a run was measured on, beside its baseline.

    Attributes:
        images: how many with a known answer.
        gained, lost: of them, those that the run alone has right, and those that its baseline alone has; only told
            where the baseline has more right, for that is when somebody asks.
    """

    images: int
    gained: int = 0
    lost: int = 0

    @property
    def is_within_chance(self) -> bool:
        """Tell whether gains and losses may be chance: the exact sign test (McNemar, Psychometrika 12, 1947)."""
        changed = self.gained + self.lost
        return changed > 0 and 2 * float(bdtr(min(self.gained, self.lost), changed, 0.5)) >= CHANCE


def shares(runs: Sequence[Run]) -> list[Share | None]:
    """Return each run's share of right answers on the images that all of them are measured on.

    Those are the images of their collection with a true label that are not held out, that every run answered and none
    learnt the label of; None for each run where there is no such image. One query, and one more for each run.

    Args:
        runs: finished ones of one collection.
    """
    right = _right_answers(runs)
    if right is None:
        return [None for _ in runs]
    return [Share(label=MEASURES[measure_of(run)][0], value=float(one.mean()), images=len(one))
            for run, one in zip(runs, right, strict=True)]


def beside_baseline(run: Run) -> Known | None:
    """Return what a finished run was measured on, and how it did there beside its baseline.

    None where nothing was measured, and where the known answers are no more those it was measured on.
    """
    measured = (run.result.get("measured") or {}).get(measure_of(run))
    if measured is None or (own := _right_answers([run])) is None or abs(own.mean() - measured) > SAME:
        return None
    both = _right_answers([run, run.baseline]) if run.baseline is not None and outdone(run) is not None else None
    if both is None or both.shape[1] != own.shape[1]:
        return Known(images=own.shape[1])
    return Known(images=own.shape[1], gained=int((both[0] & ~both[1]).sum()), lost=int((both[1] & ~both[0]).sum()))


def measure_of(run: Run) -> str:
    """Return the key of the figure that says how much of a run's answers is right."""
    return "accuracy" if has_class_list(run) else "hungarian_accuracy"


def _right_answers(runs: Sequence[Run]) -> NDArray[np.bool_] | None:
    """Return which answers of each run are right (R, N), on the images that `shares` tells of; None without any."""
    truth = _truth(runs)
    if not truth:
        return None
    place = {image: at for at, image in enumerate(truth)}
    answers = np.stack([_answers(run, place) for run in runs])  # (R, N)
    shared = (answers != NO_ANSWER).all(axis=0)
    if not shared.any():
        return None
    number = {name: at for at, name in enumerate(dict.fromkeys(truth.values()))}
    true = np.array([number[name] for name in truth.values()])[shared]
    return np.stack([_right(run, labels, true, number) for run, labels in zip(runs, answers[:, shared], strict=True)])


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


def _right(run: Run, labels: NDArray[np.int64], true: NDArray[np.int64],
           number: Mapping[str, int]) -> NDArray[np.bool_]:
    """Return which of a run's answers (N,) are right.

    Args:
        run: where it answers in class names, name is compared with name; else its clusters are matched to them.
        labels: its answers (N,).
        true: the true names (N,), numbered.
        number: folded true name -> its number.
    """
    if has_class_list(run):
        own = np.array([number.get(fold(name), NO_ANSWER) for name in class_names(run)])
        return own[labels] == true
    together = np.zeros((labels.max() + 1, true.max() + 1), dtype=np.int64)
    np.add.at(together, (labels, true), 1)
    own = np.full(len(together), NO_ANSWER)
    clusters, names = best_match(together)
    own[clusters] = names
    return own[labels] == true
