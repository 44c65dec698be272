"""What a run found, in figures: one record for the terminal, the worker and the card.

Shapes: N images, K classes, D features of a space.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from core.classifier import Classifier, Predictions
from core.evaluation.guard import evenness
from core.evaluation.label_free import label_free_score
from core.evaluation.signals import group_agreement, signals
from core.pictures import Picture

CONFIDENCE_BINS = 20
NAMES_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Result:
    """The figures of one run.

    Attributes:
        label_free_score: how learnable the labels are, 0 … 1; see `core.evaluation.label_free`.
        classes_found: classes with at least one image.
        num_classes: classes asked for, K.
        class_names: in class order; "cluster 1" … where none were given.
        histogram: images of each class.
        confidence_histogram: images in each of 20 equal steps of confidence from 0 to 1.
        seconds: wall time of adapting and answering.
        peak_memory_bytes: the most memory that it held at once; see `core.training.memory`. 0 where nobody looked.
        measured: figures measured on true labels, by name; None where there is no truth.
        baseline: how the cheap first answer compares; None where none was stored.
        suggested_names: names suggested for each cluster, best first; () where names were given.
        refused: files that could not be read.
        notes: sentences a person should read before the figures.
        pictures: what the method drew, in that order.
        signals: what else the answers show without labels; see `core.evaluation.signals`.
    """

    label_free_score: float
    classes_found: int
    num_classes: int
    class_names: tuple[str, ...]
    histogram: tuple[int, ...]
    confidence_histogram: tuple[int, ...]
    seconds: float
    peak_memory_bytes: int = 0
    measured: Mapping[str, float] | None = None
    baseline: Mapping[str, object] | None = None
    suggested_names: tuple[tuple[str, ...], ...] = ()
    refused: int = 0
    notes: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()
    signals: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """Return what ``json.dumps`` takes."""
        return asdict(self)


def summarise(classifier: Classifier, predictions: Predictions, spaces: Sequence[Tensor], *, seed: int,
              seconds: float, peak_memory_bytes: int = 0, measured: Mapping[str, float] | None = None,
              baseline: Mapping[str, object] | None = None, refused: int = 0, opinion: float | None = None,
              pictures: Sequence[Picture] = (), told: Sequence[int] = (),
              on_fold: Callable[[int], None] = lambda fold: None) -> Result:
    """Return the record of a run's answers.

    Args:
        classifier: what the method returned.
        predictions: its answers to every image (N, K).
        spaces: frozen features (N, D) of each backbone that the settings name.
        seed: fixes the folds of the label-free score.
        seconds: wall time so far.
        peak_memory_bytes: the most memory so far.
        measured: from `core.evaluation.metrics`, where there is a truth.
        baseline: how the baseline compares.
        refused: files that could not be read.
        opinion: another encoder's score of the groups; see `core.evaluation.second_opinion`.
        pictures: what the method drew.
        told: the class of each image whose label it learnt from.
        on_fold: called before each regression of the score; may raise `Cancelled`.
    """
    labels: NDArray[np.integer] = predictions.labels.numpy()
    histogram = np.bincount(labels, minlength=len(classifier.class_names))
    confidence = predictions.confidence.double().clamp(0, 1).numpy()
    features, num_classes = [one.numpy() for one in spaces], len(classifier.class_names)
    return Result(
        label_free_score=label_free_score(features, labels, seed, on_fold),
        classes_found=int((histogram > 0).sum()),
        num_classes=num_classes,
        class_names=classifier.class_names,
        histogram=tuple(histogram.tolist()),
        confidence_histogram=tuple(np.histogram(confidence, CONFIDENCE_BINS, (0, 1))[0].tolist()),
        seconds=seconds,
        peak_memory_bytes=peak_memory_bytes,
        measured=measured,
        baseline=baseline,
        suggested_names=tuple(tuple(names) for names in classifier.settings.get("suggested_names", ())),
        refused=refused,
        notes=notes_on(classifier.settings),
        pictures=tuple(pictures),
        signals={**signals(predictions.probabilities.numpy()),
                 "group_agreement": group_agreement(features, labels, num_classes, seed),
                 **({} if opinion is None else {"second_opinion": opinion}),
                 **({"label_evenness": evenness(np.bincount(told, minlength=num_classes).tolist())} if told else {})},
    )


def notes_on(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a person should know before the figures, read from a classifier's settings.

    MUST kept zero-shot; or a classifier that was fitted to labels lacked some.
    """
    kept, least_kept = settings.get("answers_kept", 1.0), settings.get("least_kept", 0.0)
    expected = settings.get("classes_expected", 1.0)
    used, least_used = settings.get("classes_used", 1.0), settings.get("least_used", 0.0) * expected
    begun = f"Zero-shot{', balanced,' if settings.get('balanced') else ''} was kept. MUST adapted the model, but then"
    shorten = "" if expected == 1 else (
        f" There are perhaps more names than things: zero-shot uses {100 * expected:.0f} % of them. Leave out what is "
        "in no image, and adapt once more.")
    if kept < least_kept:
        return (f"{begun} only {100 * kept:.0f} % of the images asked still got the answer that they had begun with; "
                f"below {100 * least_kept:.0f} % the names have probably moved to other classes, so what it had learnt "
                f"was thrown away.{shorten}",)
    if used < least_used:
        sign = "the names probably mean little in these images" if expected == 1 else "they have probably collapsed"
        return (f"{begun} its answers crowded into {100 * used:.0f} % of the classes; below {100 * least_used:.0f} % "
                f"{sign}, so what it had learnt was thrown away.{shorten}",)
    said = (("unlabelled_classes", "the images nearest to the centre of the group that fits the name stood for it"),
            ("unanswered_classes", "no image was left to stand for it, so it is never answered"))
    return tuple(f"Nobody labelled an image of {_listed(settings[key])}: {what}." for key, what in said
                 if settings.get(key))


def _listed(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + more
