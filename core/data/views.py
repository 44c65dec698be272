"""Weak, strong and evaluation views of an image.

A view depends on its image and its seed alone: not on order, threads or any global state.

Shapes: B images, H = W the side that the network sees.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from core.data.randaugment import randaugment
from core.data.recolouring import BYOL_FIRST, BYOL_SECOND, MOCO, recoloured

PREPROCESSING_VERSION = 1
"""Of `EvaluationView`; 1: shorter side to size by Pillow's bicubic, centre crop, divided by 255."""

SMALLEST_CROP, BYOL_SMALLEST_CROP = 0.2, 0.08
"""Share of the area that a crop has at least: MAE's and MoCo-v2's, and BYOL's."""
CROP_RATIO = (3 / 4, 4 / 3)
CROP_ATTEMPTS = 10


class View(Protocol):
    """A way of looking at an image."""

    @property
    def image_size_px(self) -> int:
        """Side of the square."""
        ...

    @property
    def at_least_px(self) -> int | None:
        """Shorter side to which a larger image may be reduced beforehand; None for not at all."""
        ...

    def pixels(self, image: Image.Image, seed: int) -> np.ndarray:
        """Return the view as (H, W, 3) bytes."""
        ...


def as_tensor(pixels: np.ndarray) -> Tensor:
    """Return (…, H, W, 3) bytes as (…, 3, H, W) floats in [0, 1]."""
    return torch.from_numpy(pixels).movedim(-1, -3).to(torch.float32, memory_format=torch.contiguous_format).div_(255)


def _resize_shorter(image: Image.Image, side_px: int) -> Image.Image:
    """Return the image with its shorter side at `side_px`, bicubic."""
    width, height = image.size
    if min(width, height) == side_px:
        return image
    if width <= height:
        size = (side_px, max(side_px, int(side_px * height / width)))
    else:
        size = (max(side_px, int(side_px * width / height)), side_px)
    return image.resize(size, Image.Resampling.BICUBIC)


@dataclass(frozen=True)
class EvaluationView:
    """Shorter side resized, centre crop: what every answer is made from. The seed is ignored."""

    image_size_px: int
    at_least_px: int | None = None

    def pixels(self, image: Image.Image, seed: int = 0) -> np.ndarray:
        """Return the view as (H, W, 3) bytes."""
        side = self.image_size_px
        resized = _resize_shorter(image, side)
        left, top = round((resized.width - side) / 2), round((resized.height - side) / 2)  # as torchvision rounds
        return np.array(resized.crop((left, top, left + side, top + side)))


@dataclass(frozen=True)
class WeakView:
    """Shorter side resized, random crop along the longer: what MUST's teacher sees."""

    image_size_px: int

    @property
    def at_least_px(self) -> int | None:
        """Larger images may be reduced to twice the side beforehand."""
        return 2 * self.image_size_px

    def pixels(self, image: Image.Image, seed: int) -> np.ndarray:
        """Return the view as (H, W, 3) bytes."""
        draws, side = random.Random(seed), self.image_size_px
        resized = _resize_shorter(image, side)
        left, top = _place(resized.width - side, draws), _place(resized.height - side, draws)
        return np.array(resized.crop((left, top, left + side, top + side)))


@dataclass(frozen=True)
class CropView:
    """Random resized crop, mirrored or not, and no more: what an autoencoder sees.

    Attributes:
        image_size_px: side of the square.
        mirror: whether mirror images mean the same.
        smallest: share of the area that a crop has at least.
    """

    image_size_px: int
    mirror: bool
    smallest: float = field(default=SMALLEST_CROP, kw_only=True)

    @property
    def at_least_px(self) -> int | None:
        """Larger images may be reduced beforehand: the smallest crop of what is left still is about the side."""
        return (2 if self.smallest >= SMALLEST_CROP else 4) * self.image_size_px

    def pixels(self, image: Image.Image, seed: int) -> np.ndarray:
        """Return the view as (H, W, 3) bytes."""
        return np.array(self._cropped(image, random.Random(seed)))

    def _cropped(self, image: Image.Image, draws: random.Random) -> Image.Image:
        """Return a random part of the image at the network's size, mirrored half of the time where it may be."""
        left, top, width, height = _random_box(image.width, image.height, self.smallest, draws)
        size = (self.image_size_px, self.image_size_px)
        view = image.crop((left, top, left + width, top + height)).resize(size, Image.Resampling.BICUBIC)
        return _mirrored(view, self.mirror, draws)


@dataclass(frozen=True)
class StrongView(CropView):
    """Random resized crop, mirrored or not, RandAugment: what MUST's student sees."""

    smallest: float = field(default=0.3, kw_only=True)  # the paper's

    def pixels(self, image: Image.Image, seed: int) -> np.ndarray:
        """Return the view as (H, W, 3) bytes."""
        draws = random.Random(seed)
        return np.array(randaugment(self._cropped(image, draws), draws.getrandbits(32)))


@dataclass(frozen=True)
class ShiftedView:
    """Seven eighths of each side, anywhere, mirrored or not; RandAugment after it, or not: FixMatch's two views.

    Sohn et al., 2020, arXiv:2001.07685, section 2.3: "flip and shift" by up to an eighth. Departure: FixMatch ends its
    strong view with Cutout. Semi-MAE (section 4.1) takes Semiformer's augmentations and does not name them; here they
    are FixMatch's, the strong one RandAugment alone, as MUST's, for Semi-MAE and for FixMatch beside it.

    Attributes:
        image_size_px: side of the square.
        mirror: whether mirror images mean the same.
        strong: whether RandAugment follows.
    """

    image_size_px: int
    mirror: bool
    strong: bool = False

    @property
    def at_least_px(self) -> int | None:
        """Larger images may be reduced to twice the side beforehand."""
        return 2 * self.image_size_px

    def pixels(self, image: Image.Image, seed: int) -> np.ndarray:
        """Return the view as (H, W, 3) bytes."""
        draws, side = random.Random(seed), self.image_size_px
        resized = _resize_shorter(image, round(side * 8 / 7))
        left, top = _place(resized.width - side, draws), _place(resized.height - side, draws)
        view = _mirrored(resized.crop((left, top, left + side, top + side)), self.mirror, draws)
        return np.array(randaugment(view, draws.getrandbits(32)) if self.strong else view)


@dataclass(frozen=True)
class ContrastView(CropView):
    """BYOL's augmentations (Grill et al., 2020, appendix B): crop, mirror, colours, grey, blur, solarise.

    Attributes:
        second: BYOL's two views differ: the first is always blurred, the second seldom, and may be solarised.
    """

    second: bool
    smallest: float = field(default=BYOL_SMALLEST_CROP, kw_only=True)

    def pixels(self, image: Image.Image, seed: int) -> np.ndarray:
        """Return the view as (H, W, 3) bytes."""
        draws = random.Random(seed)
        return np.array(recoloured(self._cropped(image, draws), BYOL_SECOND if self.second else BYOL_FIRST, draws))


@dataclass(frozen=True)
class MocoView(CropView):
    """MoCo-v2's augmentation (Chen et al., 2020, arXiv:2003.04297): crop, mirror, colours, grey, blur."""

    def pixels(self, image: Image.Image, seed: int) -> np.ndarray:
        """Return the view as (H, W, 3) bytes."""
        draws = random.Random(seed)
        return np.array(recoloured(self._cropped(image, draws), MOCO, draws))


def _mirrored(view: Image.Image, mirror: bool, draws: random.Random) -> Image.Image:
    """Return the view, mirrored half of the time where it may be."""
    return view.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirror and draws.random() < 0.5 else view


def _random_box(width: int, height: int, smallest: float, draws: random.Random) -> tuple[int, int, int, int]:
    """Return (left, top, width, height) of a random part, as torchvision's RandomResizedCrop draws it.

    Args:
        width: of the image, px.
        height: of it, px.
        smallest: share of the area that the part has at least.
        draws: where chance comes from.
    """
    low, high = math.log(CROP_RATIO[0]), math.log(CROP_RATIO[1])
    for _ in range(CROP_ATTEMPTS):
        area = width * height * draws.uniform(smallest, 1.0)
        ratio = math.exp(draws.uniform(low, high))
        across, down = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < across <= width and 0 < down <= height:
            return _place(width - across, draws), _place(height - down, draws), across, down
    across = min(width, max(1, round(height * CROP_RATIO[1])))
    down = min(height, max(1, round(width / CROP_RATIO[0])))
    return (width - across) // 2, (height - down) // 2, across, down


def _place(room: int, draws: random.Random) -> int:
    """Return 0 … room by a single draw, so that an image and its reduced version are cropped alike."""
    return int(draws.random() * (room + 1))


def normalise(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Subtract the channel means and divide by the deviations; images (B, 3, H, W) in [0, 1]."""
    shape = (1, 3, 1, 1)
    return (images - images.new_tensor(mean).view(shape)) / images.new_tensor(std).view(shape)
