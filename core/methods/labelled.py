"""The few images that a person labelled, for the methods that learn from them."""

from __future__ import annotations

import torch
from torch import Tensor

from core.errors import DataError
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
