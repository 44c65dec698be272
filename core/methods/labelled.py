"""The few images that a person labelled, for the methods that learn from them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from core.catalog import FinetuneSettings, KMeansSettings, MaectSettings, TurtleSettings
from core.classifier import Member
from core.errors import ConfigError, DataError
from core.evaluation.evidence import Backbone
from core.evaluation.probe import fit
from core.problem import Problem

NEVER = -1e4
"""The logit of a class of which there is no image at all."""


def person_labels(problem: Problem) -> Tensor:
    """Return the class that a person gave each image, (N,); -1 where none did.

    Raises:
        DataError: when a person labelled none, with the ways to do so.
    """
    if not problem.labelled:
        raise DataError("labels", "these settings learn from images that a person labelled, and there are none: "
                        "confirm or correct some images in review, or give --labels FILE in the shell")
    labels = torch.full((len(problem.images),), -1)
    for index, label in problem.labelled.items():
        labels[index] = label
    return labels


def asked_labels(settings: KMeansSettings | TurtleSettings | MaectSettings | FinetuneSettings,
                 problem: Problem) -> Tensor | None:
    """Return the labels (N,) that groups are to be named by, or a classifier fitted to, or None where neither is asked.

    As `person_labels` returns them.

    Raises:
        ConfigError: where no name could be given.
        DataError: when a person labelled none.
    """
    asked = {"names_from_labels": settings.names_from_labels}
    if isinstance(settings, MaectSettings | FinetuneSettings):
        asked["classifier_from"] = settings.classifier_from == "labels"
    for name, is_asked in asked.items():
        if is_asked and not problem.class_names:
            raise ConfigError(name, "there are no class names that a label could be one of; give names, or leave it "
                              "as it was")
    return person_labels(problem) if any(asked.values()) else None


@dataclass(frozen=True, kw_only=True)
class FittedHead:
    """A linear classifier fitted to a person's labels.

    Attributes:
        member: the backbone with it.
        shown_by_group: classes that nobody labelled, for which images of their group stand.
        never_shown: classes that nobody labelled and for which no image was left: they are never answered.
    """

    member: Member
    shown_by_group: list[int]
    never_shown: list[int]


def fitted_head(backbone: Backbone, features: Tensor, labels: Tensor, distances: Tensor) -> FittedHead:
    """Fit a linear classifier to a person's labels; a class that nobody labelled is shown by its group.

    Such a class is given as many examples as a labelled class has (the median): the images without a label that are
    nearest to the centre of the group that has its name. No image stands for two classes.

    Args:
        backbone: whose features they are.
        features: (N, D).
        labels: (N,) a person's, -1 = none.
        distances: (N, K) of each image from the centre of each class's group.
    """
    labels, num_classes = labels.to(features.device, copy=True), distances.shape[1]
    known = labels >= 0
    counts = labels[known].bincount(minlength=num_classes)
    unlabelled = (counts == 0).nonzero().flatten().tolist()
    examples = int(counts[counts > 0].median())
    apart = distances.masked_fill(known[:, None], torch.inf)  # a person said that these are something else
    for group in unlabelled:
        nearest = apart[:, group].argsort()[:min(examples, int((labels < 0).sum()))]
        labels[nearest], apart[nearest] = group, torch.inf
    shown = labels >= 0
    probe = fit(features[shown].cpu().numpy(), labels[shown].cpu().numpy())
    weight, bias = torch.zeros(features.shape[1], num_classes), torch.full((num_classes,), NEVER)
    weight[:, probe.classes] = torch.from_numpy(probe.weight).float()
    bias[probe.classes] = torch.from_numpy(probe.bias).float()
    return FittedHead(member=Member(backbone=backbone, weight=weight, bias=bias),
                      shown_by_group=[one for one in unlabelled if one in probe.classes],
                      never_shown=[one for one in unlabelled if one not in probe.classes])
