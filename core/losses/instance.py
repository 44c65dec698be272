"""Telling images apart: an image's two views belong together, all other images of a queue do not.

B images of a step, Q places of the queue, E embedding width.

Papers: Chen, Fan, Girshick, He, "Improved Baselines with Momentum Contrastive Learning" (MoCo-v2), 2020,
arXiv:2003.04297; Li et al., "Unsupervised Finetuning", 2021, arXiv:2110.09510, whose equation numbers are used here.
The loss is InfoNCE (van den Oord et al., 2018), as in `core.losses.contrast`, which has the batch for negatives.
"""

from __future__ import annotations

import torch
from torch import Tensor


def instance_contrast(queries: Tensor, keys: Tensor, negatives: Tensor, own: Tensor, temperature: float) -> Tensor:
    """Return InfoNCE of each query with its key against the queue, (B,); Eq. 4.

    Args:
        queries: z_q, (B, E) unit vectors.
        keys: z_k+, (B, E) unit vectors, without gradient.
        negatives: z_k-, (Q, E) unit vectors, without gradient.
        own: (B, Q) bool, rows of the queue that are no negatives of a query (see `own_rows`).
        temperature: τ.
    """
    positive = (queries * keys).sum(dim=1, keepdim=True)  # (B, 1)
    others = (queries @ negatives.T).masked_fill(own, -torch.inf)  # (B, Q)
    logits = torch.cat([positive, others], dim=1) / temperature  # (B, 1 + Q)
    return logits.logsumexp(dim=1) - logits[:, 0]  # Eq. 4


def mixed_contrast(mixed: Tensor, keys: Tensor, partners: Tensor, negatives: Tensor, own: Tensor, share: float,
                   temperature: float) -> Tensor:
    """Return the contrast of queries that are made of two images each, (B,); Eq. 6.

    Args:
        mixed: z_qm, (B, E) unit vectors.
        keys: z_ka+, (B, E), of the images of which a query has the share λ.
        partners: (B,) which row of the keys is z_kb+, the other image's.
        negatives: (Q, E).
        own: (B, Q) bool, rows of the queue that are of either image.
        share: λ.
        temperature: τ.
    """
    first = instance_contrast(mixed, keys, negatives, own, temperature)
    second = instance_contrast(mixed, keys[partners], negatives, own, temperature)
    return share * first + (1 - share) * second  # Eq. 6


def own_rows(images: Tensor, owners: Tensor) -> Tensor:
    """Return which rows of the queue are keys of the query's own image, (B, Q).

    They are earlier views of the same image, so not negatives. MoCo leaves them in: its queue of 65,536 is
    a twentieth of ImageNet. A queue as long as a collection of two thousand always holds one.

    Args:
        images: (B,) whose the queries are.
        owners: (Q,) whose the rows are.
    """
    return images[:, None] == owners
