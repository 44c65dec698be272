"""Recovering the pixels of hidden patches.

B images, M hidden patches of each, P values of a patch (channel, row, column).

Paper: Li, Savarese, Hoi, 2022, arXiv:2206.02967, Eq. 4; the masking of SimMIM (Xie et al., 2022).
Reference code: salesforce/MUST at 1e0f84e.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def patches(images: Tensor, patch_px: int) -> Tensor:
    """Cut images (B, C, H, W) into patches (B, H/p * W/p, C*p*p): row by row, channels outermost."""
    batch, channels, height, width = images.shape
    grid = images.reshape(batch, channels, height // patch_px, patch_px, width // patch_px, patch_px)
    return grid.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)


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
