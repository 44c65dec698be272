"""Contrast: an image's neighbour should be told from those of all other images of the batch.

B images of the effective batch, E embedding width.

Paper: Lehner et al., "Contrastive Tuning: A Little Help to Make Masked Autoencoders Forget", 2023,
arXiv:2304.10520, Eq. 2 and Algorithm 1; the loss is InfoNCE (van den Oord et al., 2018) as in NNCLR
(Dwibedi et al., 2021). Reference code: ml-jku/MAE-CT at 6c82cb6.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def contrast(neighbours: Tensor, predicted: Tensor, temperature: float) -> Tensor:
    """Return InfoNCE: row i of the neighbours belongs to row i of the predictions and to no other; mean of Eq. 2.

    Args:
        neighbours: (B, E) unit vectors, without gradient.
        predicted: (B, E) unit vectors.
        temperature: τ.
    """
    logits = neighbours @ predicted.T / temperature  # (B, B)
    return functional.cross_entropy(logits, torch.arange(len(logits), device=logits.device))  # Eq. 2


def symmetric_contrast(neighbours: tuple[Tensor, Tensor], predicted: tuple[Tensor, Tensor],
                       temperature: float) -> Tensor:
    """Return the mean over both directions: each view's neighbours beside the other view's predictions."""
    first, second = neighbours
    return (contrast(first, predicted[1], temperature) + contrast(second, predicted[0], temperature)) / 2  # Eq. 2 twice
