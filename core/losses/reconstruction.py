"""Recovering the pixels of hidden patches.

B images, L patches of each, M of them hidden, P values of a patch.

Papers: Li, Savarese, Hoi, 2022, arXiv:2206.02967, Eq. 4, with the masking of SimMIM (Xie et al., 2022);
reference code salesforce/MUST at 1e0f84e. He et al., 2022, arXiv:2111.06377 (MAE); reference code
ml-jku/MAE-CT at 6c82cb6.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

SMALLEST_VARIANCE = 1e-6


def patches(images: Tensor, patch_px: int, *, channels_last: bool = False) -> Tensor:
    """Cut images (B, C, H, W) into patches (B, H/p * W/p, C*p*p), row by row.

    Within a patch channels come first (MUST's order) or, with `channels_last`, last (MAE's).
    """
    batch, channels, height, width = images.shape
    grid = images.reshape(batch, channels, height // patch_px, patch_px, width // patch_px, patch_px)
    order = (0, 2, 4, 3, 5, 1) if channels_last else (0, 2, 4, 1, 3, 5)
    return grid.permute(order).flatten(3).flatten(1, 2)


def normalised_patches(images: Tensor, patch_px: int) -> Tensor:
    """Return MAE's target: patches (B, L, P), each with mean 0 and variance 1 (of n - 1), channels last."""
    found = patches(images.float(), patch_px, channels_last=True)
    mean, variance = found.mean(dim=2, keepdim=True), found.var(dim=2, keepdim=True)
    return (found - mean) / (variance + SMALLEST_VARIANCE).sqrt()


def squared_error(recovered: Tensor, true: Tensor, hidden: Tensor) -> Tensor:
    """Return MAE's loss, (): the mean squared error over the hidden patches of all images.

    Args:
        recovered: (B, L, P).
        true: (B, L, P).
        hidden: (B, L), True or 1 = removed from the encoder's input.
    """
    each = (recovered.float() - true).square().mean(dim=2)  # (B, L)
    return (each * hidden).sum() / hidden.sum()  # L_MAE of Semi-MAE's Eq. 3, L^MAE of MAE-CT's section 4.4


def pictures(values: Tensor, rows: int, patch_px: int) -> Tensor:
    """Put patches (B, rows * columns, C*p*p) together again: the inverse of `patches`, and a pixel shuffle."""
    batch, count, size = values.shape
    channels = size // patch_px**2
    grid = values.reshape(batch, rows, count // rows, channels, patch_px, patch_px)
    return grid.permute(0, 3, 1, 4, 2, 5).flatten(4).flatten(2, 3)


def absolute_error(recovered: Tensor, true: Tensor) -> Tensor:
    """Return each image's mean |recovered - true| over its hidden values, (B, M, P) twice -> (B,).

    Its mean over images is Eq. 4: every image hides equally many patches. The reference adds 1e-5 to
    the count of hidden pixels, which is nothing beside at least one patch of them.
    """
    return (recovered.float() - true.float()).abs().mean(dim=(1, 2))  # Eq. 4


def hidden_patches(batch_size: int, rows: int, block: int, ratio: float, generator: torch.Generator) -> Tensor:
    """Draw which patches to hide: in every image ceil(ratio * blocks) square blocks of patches.

    Args:
        batch_size: B.
        rows: patches a side of the (square) image.
        block: patches a side of a block; divides `rows`.
        ratio: share of blocks to hide, above 0.
        generator: a CPU generator.

    Returns:
        (B, rows * rows) bool, True = hidden.
    """
    side = rows // block
    count = math.ceil(ratio * side * side)
    order = torch.rand(batch_size, side * side, generator=generator).argsort(dim=1)
    blocks = torch.zeros(batch_size, side * side, dtype=torch.bool)
    blocks.scatter_(1, order[:, :count], True)
    grid = blocks.reshape(batch_size, side, 1, side, 1).expand(-1, -1, block, -1, block)
    return grid.reshape(batch_size, rows * rows)
