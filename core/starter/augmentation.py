"""Augmentation of whole batches on tensors, cheap enough to feed a small ViT from one core.

Everything is drawn from a generator that lives where the images live.

Shapes: B images, (B, 3, H, W) in [0, 1].
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional

_LUMA = (0.299, 0.587, 0.114)


def _chosen(count: int, probability: float, generator: torch.Generator) -> torch.Tensor:
    return (torch.rand(count, generator=generator, device=generator.device) < probability).nonzero().flatten()


def _uniform(shape: tuple[int, ...], low: float, high: float, generator: torch.Generator) -> torch.Tensor:
    return low + (high - low) * torch.rand(shape, generator=generator, device=generator.device)


def zoom_shift_flip(images: torch.Tensor, flip: torch.Tensor, size_px: int,
                    generator: torch.Generator) -> torch.Tensor:
    """Zoom by 0.5 to 1.1, stretch, rotate and shift a little; flip where `flip` (B,) is True."""
    batch = len(images)
    zoom = _uniform((batch,), 0.5, 1.1, generator)
    stretch = torch.exp(_uniform((batch,), -0.2, 0.2, generator))
    angle = _uniform((batch,), -0.17, 0.17, generator)
    room = (1.05 - zoom).clamp_min(0.08)
    mirror = torch.where(flip & (_uniform((batch,), 0, 1, generator) < 0.5), -1.0, 1.0)
    wide, high = zoom * stretch, zoom / stretch
    theta = torch.stack([
        torch.stack([mirror * wide * angle.cos(), -high * angle.sin(),
                     room * _uniform((batch,), -1, 1, generator)], 1),
        torch.stack([mirror * wide * angle.sin(), high * angle.cos(),
                     room * _uniform((batch,), -1, 1, generator)], 1)], 1)
    grid = functional.affine_grid(theta, [batch, 3, images.shape[-2], images.shape[-1]], align_corners=False)
    moved = functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    if size_px != images.shape[-1]:
        moved = functional.avg_pool2d(moved, images.shape[-1] // size_px)
    return moved


def recolour(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Jitter brightness, contrast and saturation; grey, posterise or restyle a few.

    Restyling is a random 3x3 convolution (Xu et al., 2021, arXiv:2007.13003): paintings and
    drawings differ from photographs mostly in local texture and colour.
    """
    batch = len(images)
    luma = (images * images.new_tensor(_LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)
    saturation = _uniform((batch, 1, 1, 1), 0.3, 1.6, generator)
    saturation[_chosen(batch, 0.2, generator)] = 0.0
    images = luma + saturation * (images - luma)
    contrast = _uniform((batch, 1, 1, 1), 0.6, 1.4, generator)
    mean = images.mean((1, 2, 3), keepdim=True)
    images = mean + contrast * (images - mean) + _uniform((batch, 1, 1, 1), -0.15, 0.15, generator)
    tint = _chosen(batch, 0.2, generator)
    images[tint] = images[tint] * _uniform((len(tint), 3, 1, 1), 0.6, 1.4, generator)
    restyled = _chosen(batch, 0.25, generator)
    if len(restyled):
        images[restyled] = _random_convolution(images[restyled], generator)
    flat = _chosen(batch, 0.1, generator)
    levels = torch.randint(2, 6, (len(flat), 1, 1, 1), generator=generator, device=generator.device)
    images[flat] = (images[flat] * levels).round() / levels
    return images.clamp(0, 1)


def _random_convolution(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    batch, _, height, width = images.shape
    kernel = torch.randn(batch * 3, 3, 3, 3, generator=generator, device=generator.device) / math.sqrt(27)
    padded = functional.pad(images, (1, 1, 1, 1), mode="reflect").reshape(1, batch * 3, height + 2, width + 2)
    styled = functional.conv2d(padded - 0.5, kernel, groups=batch).reshape(batch, 3, height, width) + 0.5
    keep = _uniform((batch, 1, 1, 1), 0.2, 1.0, generator)
    return keep * images + (1 - keep) * styled


def blur(images: torch.Tensor, probability: float, generator: torch.Generator) -> torch.Tensor:
    """Throw away detail in some images by going down to a quarter or half of the size and back."""
    some = _chosen(len(images), probability, generator)
    for part, factor in zip(some.chunk(2), (2, 4), strict=False):
        small = functional.avg_pool2d(images[part], factor)
        images[part] = functional.interpolate(small, size=images.shape[-2:], mode="bicubic",
                                              align_corners=False).clamp(0, 1)
    return images


def scribble(digits: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Vary handwritten digits, (B, 3, H, W): thickness, 8 x 8 scans, ink and paper."""
    batch, _, height, width = digits.shape
    thick = _chosen(batch, 0.35, generator)
    digits[thick] = functional.max_pool2d(digits[thick], 5, 1, 2)
    coarse = _chosen(batch, 0.5, generator)
    small = functional.adaptive_avg_pool2d(digits[coarse], 8)
    digits[coarse] = functional.interpolate(small, size=(height, width), mode="bicubic",
                                            align_corners=False).clamp(0, 1)
    inverted = _chosen(batch, 0.4, generator)
    digits[inverted] = 1 - digits[inverted]
    inked = _chosen(batch, 0.3, generator)
    paper = _uniform((len(inked), 3, 1, 1), 0, 1, generator)
    ink = _uniform((len(inked), 3, 1, 1), 0, 1, generator)
    digits[inked] = paper + (ink - paper) * digits[inked]
    return digits
