"""The colours of contrastive views, drawn from one image's generator: BYOL's two and MoCo-v2's.

Grill et al., 2020, "Bootstrap your own latent", arXiv:2006.07733, appendix B; Chen et al., 2020, "Improved
Baselines with Momentum Contrastive Learning", arXiv:2003.04297, and its code, facebookresearch/moco.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from PIL import Image, ImageEnhance, ImageFilter, ImageOps

Change = Callable[[Image.Image, random.Random], Image.Image]

JITTER_PROBABILITY, BRIGHTNESS, CONTRAST, HUE = 0.8, 0.4, 0.4, 0.1
GREY_PROBABILITY = 0.2
BLUR_SIGMA = (0.1, 2.0)
SIDE_OF_SIGMA_PX = 224
"""The side for which the paper's sigma is given; it shrinks with the image."""


@dataclass(frozen=True)
class Recolouring:
    """In what the papers differ: how much saturation may change, how often a view is blurred or solarised."""

    saturation: float
    blur_probability: float
    solarise_probability: float


BYOL_FIRST, BYOL_SECOND, MOCO = Recolouring(0.2, 1.0, 0.0), Recolouring(0.2, 0.1, 0.2), Recolouring(0.4, 0.5, 0.0)


def recoloured(view: Image.Image, kind: Recolouring, draws: random.Random) -> Image.Image:
    """Return the view with its colours jittered, greyed, blurred and solarised, each by chance."""
    if draws.random() < JITTER_PROBABILITY:
        view = _jittered(view, kind.saturation, draws)
    if draws.random() < GREY_PROBABILITY:
        view = view.convert("L").convert("RGB")
    if draws.random() < kind.blur_probability:
        view = view.filter(ImageFilter.GaussianBlur(draws.uniform(*BLUR_SIGMA) * view.width / SIDE_OF_SIGMA_PX))
    if draws.random() < kind.solarise_probability:
        view = ImageOps.solarize(view, 128)
    return view


def _jittered(view: Image.Image, saturation: float, draws: random.Random) -> Image.Image:
    """Change brightness, contrast, saturation and hue, in a random order."""
    changes: list[Change] = [
        partial(_enhanced, ImageEnhance.Brightness, BRIGHTNESS), partial(_enhanced, ImageEnhance.Contrast, CONTRAST),
        partial(_enhanced, ImageEnhance.Color, saturation), _hue_turned]
    draws.shuffle(changes)
    for change in changes:
        view = change(view, draws)
    return view


def _enhanced(kind: Any, most: float, view: Image.Image, draws: random.Random) -> Image.Image:
    """Return the view with more or less of something, by a factor of up to 1 ± `most`."""
    changed: Image.Image = kind(view).enhance(1 + draws.uniform(-most, most))
    return changed


def _hue_turned(view: Image.Image, draws: random.Random) -> Image.Image:
    """Return the view with its hues turned by up to a tenth of the circle."""
    return turned_hue(view, draws.uniform(-HUE, HUE))


def turned_hue(view: Image.Image, turn: float) -> Image.Image:
    """Return the view with its hues turned by a share of the circle."""
    levels = round(turn * 256)
    hue, saturation, value = view.convert("HSV").split()
    hue = hue.point([(level + levels) % 256 for level in range(256)])
    return Image.merge("HSV", (hue, saturation, value)).convert("RGB")
