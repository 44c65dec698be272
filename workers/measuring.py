"""What is said of a run's answers after the method is done. Only here, and where finished runs stand side by side
(`webapp.runs.known_answers`), are true labels read.

Shapes: N images, D features.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

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
             taught: Container[int]) -> dict[str, float] | None:
    """Return the figures measured on true labels, or None where there are none.

    Args:
        run: where it answers in class names, label is compared with label; else clusters are matched to classes.
        photographs: its images.
        labels: the answer for each distinct picture (N,).
        held_out: whether the pictures kept out of adaptation are measured, or those adapted to.
        taught: places of pictures whose label the run learnt from: what it was told is no measure of it.
    """
    truth = _truth(run, photographs, held_out=held_out, taught=taught)
    return _figures(run, [labels[photographs.place[image]] for image in truth], list(truth.values()))


def _truth(run: Run, photographs: Photographs, *, held_out: bool, taught: Container[int]) -> dict[int, str]:
    """Return image -> folded true name of what a run is measured on; the arguments are those of `measured`."""
    known = TrueLabel.objects.filter(image__collection=run.collection_id).values_list("image_id", "name")
    place = photographs.place
    return {image: fold(name) for image, name in known if image in place
            and (place[image] >= photographs.adapted) == held_out and place[image] not in taught}


def _figures(run: Run, labels: Sequence[int], truth: Sequence[str]) -> dict[str, float] | None:
    """Return the figures of a run's answers (N,) against folded true names (N,), or None for N = 0."""
    if not truth:
        return None
    names = [fold(name) for name in run.class_list_version.names] if (
        run.class_list_version and has_class_list(run)) else []
    index = {name: number for number, name in enumerate(dict.fromkeys([*names, *sorted(set(truth))]))}
    return metrics.evaluate(labels, [index[name] for name in truth], names or None)


def compare(run: Run, baseline: Run, photographs: Photographs | None = None) -> dict[str, object] | None:
    """Return how a finished run's answers stand beside those of its finished baseline.

    Where both answered in the same words, the share of same answers; else that share after the
    best one-to-one match of the clusters of one with the classes of the other. The baseline of a run that learnt
    from labels is "measured" and "held_out" on the images that the run is; of another's, its own figures are.

    Args:
        run: a finished one.
        baseline: the finished run it is compared with.
        photographs: the run's; None where they are not known any more, and then nothing more is measured.
    """
    ours, theirs = (dict(Prediction.objects.filter(run=one).values_list("image_id", "class_index"))
                    for one in (run, baseline))
    both = sorted(ours.keys() & theirs.keys())
    if not both:
        return None
    labels, others = [ours[image] for image in both], [theirs[image] for image in both]
    agree = metrics.accuracy if same_words(run, baseline) else metrics.hungarian_accuracy
    found = {"run": baseline.pk, "label_free_score": baseline.result.get("label_free_score"),
             "histogram": baseline.result.get("histogram", []), "agreement": agree(labels, others)}
    if photographs is not None and run.result.get("taught"):
        found |= {part: _measured_as(run, photographs, baseline, theirs, held_out=part == "held_out")
                  for part in ("measured", "held_out")}
    return found


def _measured_as(run: Run, photographs: Photographs, baseline: Run, answers: Mapping[int, int], *,
                 held_out: bool) -> dict[str, float] | None:
    """Return the baseline's figures on the images that a run which learnt from labels is measured on.

    Args:
        run: a finished one.
        photographs: its images.
        baseline: the run it is compared with.
        answers: image -> class of the baseline; where one that is measured lacks its answer, there are no figures.
        held_out: which images, as in `measured`.
    """
    taught = {photographs.place[image] for image in run.result["taught"]}
    truth = _truth(run, photographs, held_out=held_out, taught=taught)
    if not truth.keys() <= answers.keys():
        return None
    return _figures(baseline, [answers[image] for image in truth], list(truth.values()))
