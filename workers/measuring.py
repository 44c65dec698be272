"""What is said of a run's answers after the method is done. Only here are true labels read.

Shapes: N images, D features.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

from torch import Tensor

from core.backbones.features import features
from core.backbones.load import load_backbone
from core.data.images import ImageSet
from core.evaluation import metrics
from core.names import fold
from webapp.collections.models import TrueLabel
from webapp.review.names import has_class_list
from webapp.review.queries import same_words
from webapp.runs.models import Prediction, Run
from workers.problems import Photographs
from workers.surroundings import WorkerRun


def spaces(backbones: Sequence[str], images: ImageSet, run: WorkerRun) -> list[Tensor]:
    """Return the frozen features (N, D) of each foundation model that the settings name."""
    return [features(load_backbone(name), images, run, stage="reading images once more") for name in backbones]


def measured(run: Run, photographs: Photographs, labels: Sequence[int], *, held_out: bool,
             taught: Container[int] = ()) -> dict[str, float] | None:
    """Return the figures measured on true labels, or None where there are none.

    Args:
        run: where it answers in class names, label is compared with label; else clusters are matched to classes.
        photographs: its images.
        labels: the answer for each distinct picture (N,).
        held_out: whether the pictures kept out of adaptation are measured, or those adapted to.
        taught: pictures whose label the run learnt from: what it was told is no measure of it.
    """
    rows = [(photographs.place[image], fold(name)) for image, name in
            TrueLabel.objects.filter(image__collection=run.collection_id).values_list("image_id", "name")
            if image in photographs.place]
    rows = [(place, name) for place, name in rows
            if (place >= photographs.adapted) == held_out and place not in taught]
    if not rows:
        return None
    names = [fold(name) for name in run.class_list_version.names] if (
        run.class_list_version and has_class_list(run)) else []
    index = {name: number for number, name in enumerate(dict.fromkeys([*names, *sorted({name for _, name in rows})]))}
    return metrics.evaluate([labels[place] for place, _ in rows], [index[name] for _, name in rows], names or None)


def compare(run: Run, baseline: Run) -> dict[str, object] | None:
    """Return how a finished run's answers stand beside those of its finished baseline.

    Where both answered in the same words, the share of same answers; else that share after the
    best one-to-one match of the clusters of one with the classes of the other.
    """
    ours, theirs = (dict(Prediction.objects.filter(run=one).values_list("image_id", "class_index"))
                    for one in (run, baseline))
    both = sorted(ours.keys() & theirs.keys())
    if not both:
        return None
    labels, others = [ours[image] for image in both], [theirs[image] for image in both]
    agree = metrics.accuracy if same_words(run, baseline) else metrics.hungarian_accuracy
    return {"run": baseline.pk, "label_free_score": baseline.result.get("label_free_score"),
            "histogram": baseline.result.get("histogram", []), "agreement": agree(labels, others)}
