"""The few images that a person labelled, for the methods that learn from them."""

from __future__ import annotations

import torch
from torch import Tensor

from core.catalog import FinetuneSettings, MaectSettings
from core.errors import ConfigError, DataError
from core.problem import Problem


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


def naming_labels(settings: FinetuneSettings | MaectSettings, problem: Problem) -> Tensor | None:
    """Return the labels (N,) that clusters are to be named by, as `person_labels` does, or None where they are not.

    Raises:
        ConfigError: where there is no name to be given.
        DataError: when a person labelled none.
    """
    if not settings.names_from_labels:
        return None
    if not problem.class_names:
        raise ConfigError("names_from_labels", "there are no class names that groups could be given; give names, or "
                          "switch it off")
    return person_labels(problem)
