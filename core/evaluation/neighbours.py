"""Weighted k-NN and retrieval: how well a space's neighbourhoods agree with labels, with nothing trained.

N images to answer, M labelled ones, D features.

Wu et al., 2018, arXiv:1805.01978, as in DINO and in ml-jku/MAE-CT at 6c82cb6: a neighbour's vote is
exp(cosine / 0.07). (Lehner et al., 2023, appendix B says cosine weights; the code does this.)

Retrieval: Li et al., "Unsupervised finetuning", 2021, section 5: of the 5 images most similar to a query, the
share that has its label.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from core.evaluation.evidence import Evidence, Finding, spread

NEIGHBOURS, TEMPERATURE = 10, 0.07
RETRIEVED = 5
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


def retrieved_share(labelled: Tensor, labels: Tensor, features: Tensor, truth: Tensor, count: int = RETRIEVED) -> float:
    """Return the share, 0 … 1, of same-class images among the `count` labelled ones most similar to each image.

    Args:
        labelled: (M, D), what is searched.
        labels: (M,) class indices.
        features: (N, D), the queries.
        truth: (N,) class indices.
        count: images retrieved for each query; all where M is smaller.
    """
    references, same = functional.normalize(labelled.float(), dim=1), 0
    for part, own in zip(features.split(ROWS_AT_ONCE), truth.split(ROWS_AT_ONCE)):
        likeness = functional.normalize(part.float(), dim=1) @ references.T  # (rows, M)
        nearest = likeness.topk(min(count, len(references)), dim=1).indices
        same += int((labels[nearest] == own[:, None]).sum())
    return same / (len(features) * min(count, len(references)))


def nearest_neighbours(evidence: Evidence) -> Finding:
    """Measure the accuracy of weighted k-NN with 10 neighbours, 5-fold."""
    found = [float((vote(labelled, labels, queries) == truth).float().mean())
             for labelled, labels, queries, truth in _folds(evidence)]
    return Finding(figures=spread("accuracy", found))


def retrieval(evidence: Evidence) -> Finding:
    """Measure top-5 retrieval: each fold's images search the others."""
    return Finding(figures=spread("top_5", [retrieved_share(*fold) for fold in _folds(evidence)]))


def _folds(evidence: Evidence) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Yield what is labelled, its labels, the queries and their truth."""
    features, truth = torch.from_numpy(evidence.features), torch.from_numpy(evidence.truth)
    for fold in np.unique(evidence.folds):
        queries = torch.from_numpy(evidence.folds == fold)
        yield features[~queries], truth[~queries], features[queries], truth[queries]
