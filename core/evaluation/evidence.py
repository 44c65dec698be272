"""What measures look at - images, features, answers and, here only, true classes - and what they find.

Shapes: N images, D features, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional

from core.backbones.clip import ClipBackbone
from core.backbones.features import features
from core.backbones.vit import TimmBackbone
from core.catalog import answers_in_groups
from core.classifier import Classifier
from core.data.copies import grouped
from core.data.images import ImageSet
from core.errors import ConfigError, DataError
from core.evaluation import metrics
from core.evaluation.foundation import foundation_models, zero_shot_twin
from core.evaluation.label_free import stratified_folds
from core.names import fold
from core.run import Run

Backbone = ClipBackbone | TimmBackbone

FOLDS, SHOWN = 5, 8
NEEDS: Mapping[str, str] = {
    "truth": "needs true classes: give --truth CSV",
    "images": "looks at images: give --images with --model or --backbone",
    "answers": "needs answers: give --labels or --model, or with --truth a --backbone that reads class names",
    "answering model": "needs a model that answers: give --model, or with --truth a --backbone that reads class names",
    "class names": "needs a method that reads class names, as zero-shot and MUST do; the names of groups are a guess",
    "source": "needs the collection to remember: give --source and --source-truth",
    "folder": "draws a picture: give --out DIR for it",
}
"""What a measure may need, and what is said where it is missing."""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """The class that each image was given, by name (N,), and how confidently (N,), 0 … 1; None where unknown."""

    names: tuple[str, ...]
    confidence: NDArray[np.float64] | None


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """A collection, and what is known of its images.

    Attributes:
        run: device, seed, folder, and whoever is told of progress.
        paths: what the images are called (N,).
        true_names: the true class of each (N,), or () where nobody knows.
        images: the pictures, or None where only labels are compared.
        backbones: those whose features are measured; () where only labels are compared.
        classifier: what answers, or None.
        given: answers that were read from a file, or None.
        given_by: what settings.json says of the model whose `given` are; {} where nobody knows.
        adapted: whether `classifier` is an adapted model, rather than the zero-shot one of a foundation model.
        beside: other models to be shown beside this one.
        source: the collection that should not have been forgotten; its truth is known.
        sample: how many images are looked at by measures that look at each many times.
        has_folder: whether pictures can be written.
    """

    run: Run
    paths: tuple[str, ...]
    true_names: tuple[str, ...] = ()
    images: ImageSet | None = None
    backbones: tuple[Backbone, ...] = ()
    classifier: Classifier | None = None
    given: Answers | None = None
    given_by: Mapping[str, Any] = field(default_factory=dict)
    adapted: bool = False
    beside: Mapping[str, Classifier] = field(default_factory=dict)
    source: Evidence | None = None
    sample: int = 1000
    has_folder: bool = False

    def lacks(self, needs: Sequence[str]) -> str | None:
        """Return what is missing of `needs`, in words and with the fix; None where all is there."""
        there = {"truth": bool(self.true_names), "images": self.images is not None,
                 "answers": self.given is not None or self.classifier is not None,
                 "answering model": self.classifier is not None, "class names": not self.in_groups,
                 "source": self.source is not None, "folder": self.has_folder}
        return next((NEEDS[need] for need in needs if not there[need]), None)

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """Return the true classes, K, sorted; names that differ in case or spaces alone are one."""
        return tuple(sorted({fold(name): name for name in sorted(set(self.true_names))}.values()))

    @cached_property
    def truth(self) -> NDArray[np.int64]:
        """Return the true class of each image, (N,)."""
        if not self.true_names:
            raise ConfigError("truth", NEEDS["truth"])
        return _numbered(self.true_names, self.class_names)

    @cached_property
    def folds(self) -> NDArray[np.int64]:
        """Return the fold (N,) of each image, 0 … 4, every class spread evenly: fitted on four, measured on the fifth.

        Copies of an image share its fold, for what was fitted to one knows the other.

        Raises:
            DataError: where there is one class, or fewer different images than folds.
        """
        groups = self.copies
        if len(self.class_names) < 2 or len(groups) < FOLDS:
            raise DataError("truth", f"{len(groups)} image(s) of {len(self.class_names)} class(es), copies counted "
                                     f"once; at least {FOLDS} of two classes are needed")
        firsts = self.truth[[group[0] for group in groups]]
        found = np.empty_like(self.truth)
        for group, number in zip(groups, stratified_folds(firsts, FOLDS, np.random.default_rng(self.run.seed))):
            found[group] = number
        return found

    @cached_property
    def copies(self) -> list[list[int]]:
        """Return the images, each with its copies."""
        return grouped(self.pictures)

    @property
    def different(self) -> NDArray[np.bool_]:
        """Return which images (N,) are no copy of an earlier one, for measures that learn from some of them."""
        found = np.zeros(len(self.paths), dtype=bool)
        found[[group[0] for group in self.copies]] = True
        return found

    @cached_property
    def pictures(self) -> ImageSet:
        """Return the images."""
        if self.images is None:
            raise ConfigError("images", NEEDS["images"])
        return self.images

    @cached_property
    def features(self) -> NDArray[np.float32]:
        """Return the frozen features of every image, (N, D)."""
        return self.features_of(self.backbones)

    def features_of(self, backbones: Sequence[Backbone]) -> NDArray[np.float32]:
        """Return features (N, D) of one backbone as it gives them, of several at unit length side by side."""
        each = [features(one, self.pictures, self.run) for one in backbones]
        together = each[0] if len(each) == 1 else torch.cat([functional.normalize(one, dim=1) for one in each], dim=1)
        found: NDArray[np.float32] = together.numpy()
        return found

    @cached_property
    def answers(self) -> Answers:
        """Return what was answered."""
        if self.given is not None:
            return self.given
        found = self.answering.predict(self.pictures, self.run)
        names = self.answering.class_names
        return Answers(names=tuple(names[label] for label in found.labels.tolist()),
                       confidence=found.confidence.double().numpy())

    @property
    def answering(self) -> Classifier:
        """Return the classifier."""
        if self.classifier is None:
            raise ConfigError("model", NEEDS["answering model"])
        return self.classifier

    @cached_property
    def before(self) -> tuple[Backbone, ...]:
        """Return the published models that `backbones` were made from, () where nothing was adapted or there are none.

        A model that began with another adapted one is compared with that one's.
        """
        from_scratch = self.classifier is not None and self.classifier.settings.get("pretrained") is False
        return foundation_models(self.answering) if self.adapted and not from_scratch else ()

    @cached_property
    def zero_shot(self) -> Classifier | None:
        """Return the classifier that the class names alone make of the backbone, or None where there is none."""
        return zero_shot_twin(self.answering) if self.adapted else self.classifier

    @property
    def in_groups(self) -> bool:
        """Tell whether what answers is known to only count; its groups may bear class names, but by a guess."""
        if self.classifier is not None:
            return answers_in_groups(self.classifier.method, self.classifier.settings)
        return answers_in_groups(str(self.given_by.get("method")), self.given_by.get("settings") or {})

    @cached_property
    def named(self) -> bool:
        """Tell whether answers and truth share names that are no guess; groups are matched with classes one to one."""
        theirs = {fold(name) for name in set(self.answers.names)}
        return not self.in_groups and not theirs.isdisjoint(map(fold, self.class_names))

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """Return the answers (N,) as numbers, in the numbering of `truth` where it has the name, else beyond it."""
        return _numbered(self.answers.names, (*self.class_names, *sorted(set(self.answers.names))))

    @cached_property
    def matched(self) -> NDArray[np.int64]:
        """Return the answers (N,) in the numbering of `truth`, clusters after the best match; -1 is no class."""
        if self.named:
            return np.where(self.labels < len(self.class_names), self.labels, -1)
        return metrics.assign(self.labels, self.truth)

    @cached_property
    def sampled(self) -> NDArray[np.int64]:
        """Return the images (n <= `sample`,) for measures that look at each many times: seeded, in order."""
        return self.sampled_of(np.ones(len(self.paths), dtype=bool))

    def sampled_of(self, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the same of the images that are chosen, (N,)."""
        order = self._shuffled
        return np.sort(order[chosen[order]][: self.sample])

    @property
    def shown(self) -> list[int]:
        """Return the few images that are drawn: seeded."""
        return [int(one) for one in self._shuffled[:SHOWN]]

    @property
    def _shuffled(self) -> NDArray[np.int64]:
        return np.random.default_rng([self.run.seed, *b"sampled"]).permutation(len(self.paths))  # not as held out


def _numbered(names: Sequence[str], classes: Sequence[str]) -> NDArray[np.int64]:
    """Return the number of each name (N,) among the classes, of which those that differ in case or spaces are one."""
    number = {key: at for at, key in enumerate(dict.fromkeys(map(fold, classes)))}
    at = {name: number[fold(name)] for name in set(names)}
    return np.array([at[name] for name in names], dtype=np.int64)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one measure found.

    Attributes:
        figures: by name.
        table: rows, the first of them names; () for none.
        picture: or None.
        notes: what could not be measured, and why.
        images: how many were looked at; None for all.
    """

    figures: Mapping[str, float] = field(default_factory=dict)
    table: Sequence[Sequence[object]] = ()
    picture: Image.Image | None = None
    notes: tuple[str, ...] = ()
    images: int | None = None


def spread(name: str, values: Sequence[float]) -> dict[str, float]:
    """Return the mean of a figure over splits, and its standard deviation (of n - 1) as ``<name>_spread``."""
    return {name: float(np.mean(values)), f"{name}_spread": float(np.std(values, ddof=1)) if len(values) > 1 else 0.0}
