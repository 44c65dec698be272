"""Two images made into one: CutMix's rectangle, or MixUp's weights, over a whole batch.

B images of a step.

Papers: Yun et al., "CutMix", 2019, arXiv:1905.04899; Zhang et al., "mixup", 2018, arXiv:1710.09412; used on queries
by Li et al., "Unsupervised Finetuning", 2021, arXiv:2110.09510, Eq. 5.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Mix(NamedTuple):
    """How the images of one batch are mixed.

    Attributes:
        partners: (B,) with whom each image is mixed, never with itself.
        mask: M of Eq. 5, (H, W) in [0, 1]: how much of a pixel is the image's own.
        share: λ, the mean of M.
    """

    partners: Tensor
    mask: Tensor
    share: float

    def of(self, images: Tensor) -> Tensor:
        """Return the mixed images of (B, 3, H, W)."""
        mask = self.mask.to(images)
        return mask * images + (1 - mask) * images[self.partners.to(images.device)]  # Eq. 5


def draw_mix(kind: str, count: int, side_px: int, alpha: float, draw: torch.Generator) -> Mix:
    """Draw partners, λ and a mask for one batch.

    The paper mixes "two training samples from the mini-batch" at each step. Here every image of the batch
    is mixed with another one, with the step's one λ and rectangle, as CutMix's own code does.

    Args:
        kind: "cutmix", "mixup", or "both": one of the two by chance.
        count: B, at least 2.
        side_px: H = W.
        alpha: α of the Beta distribution that λ is drawn from.
        draw: a CPU generator.
    """
    circle = torch.randperm(count, generator=draw)
    partners = torch.empty_like(circle)
    partners[circle] = circle.roll(1)  # each one's neighbour in a random circle
    numbers = np.random.default_rng(int(torch.randint(2**62, (), generator=draw)))  # torch's Beta takes no generator
    share, coin = float(numbers.beta(alpha, alpha)), numbers.random() < 0.5
    if kind == "mixup" or (kind == "both" and coin):
        return Mix(partners, torch.full((side_px, side_px), share), share)
    mask = _rectangle_left_out(share, side_px, numbers)
    return Mix(partners, mask, float(mask.mean()))  # the rectangle may reach over the edge: λ is the true area


def _rectangle_left_out(share: float, side_px: int, numbers: np.random.Generator) -> Tensor:
    """Return ones (H, W) but for a rectangle of the image's shape and 1 - λ of its area, its centre anywhere."""
    half = side_px * math.sqrt(1 - share) / 2
    mask = torch.ones(side_px, side_px)
    top, left = numbers.integers(side_px, size=2)
    rows = slice(max(0, round(top - half)), min(side_px, round(top + half)))
    columns = slice(max(0, round(left - half)), min(side_px, round(left + half)))
    mask[rows, columns] = 0.0
    return mask
