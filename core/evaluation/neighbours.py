"""Weighted k-NN: how well a space's neighbourhoods agree with labels, with nothing trained.

N images to answer, M labelled ones, D features.

Wu et al., 2018, arXiv:1805.01978, as in DINO and in ml-jku/MAE-CT at 6c82cb6: a neighbour's vote is
exp(cosine / 0.07). (Lehner et al., 2023, appendix B says cosine weights; the code does this.)
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

NEIGHBOURS, TEMPERATURE = 10, 0.07
ROWS_AT_ONCE = 4096


def vote(labelled: Tensor, labels: Tensor, features: Tensor, neighbours: int = NEIGHBOURS, *,
         leave_out_itself: bool = False) -> Tensor:
    """Return the class that each image's nearest labelled ones vote for, (N,).

    Args:
        labelled: (M, D).
        labels: (M,) class indices.
        features: (N, D).
        neighbours: k.
        leave_out_itself: the two sets are the same, and no image votes for itself.
    """
    references = functional.normalize(labelled.float(), dim=1)
    count = int(labels.max()) + 1
    answers = []
    for start in range(0, len(features), ROWS_AT_ONCE):
        part = functional.normalize(features[start:start + ROWS_AT_ONCE].float(), dim=1)
        likeness = part @ references.T  # (rows, M)
        if leave_out_itself:
            own = torch.arange(len(part), device=part.device)
            likeness[own, own + start] = -torch.inf
        nearest = likeness.topk(min(neighbours, len(references) - leave_out_itself), dim=1)
        votes = torch.zeros(len(part), count, device=part.device)
        votes.scatter_add_(1, labels[nearest.indices], (nearest.values / TEMPERATURE).exp())
        answers.append(votes.argmax(dim=1))
    return torch.cat(answers)
