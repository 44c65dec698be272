"""The colours of BYOL's two views, drawn from one image's generator.

Grill et al., 2020, "Bootstrap your own latent", arXiv:2006.07733, appendix B.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any

from PIL import Image, ImageEnhance, ImageFilter, ImageOps

Change = Callable[[Image.Image, random.Random], Image.Image]

JITTER_PROBABILITY, BRIGHTNESS, CONTRAST, SATURATION, HUE = 0.8, 0.4, 0.4, 0.2, 0.1
GREY_PROBABILITY = 0.2
BLUR_PROBABILITY = {False: 1.0, True: 0.1}
SOLARISE_PROBABILITY = {False: 0.0, True: 0.2}
"""By whether the view is the second."""
BLUR_SIGMA = (0.1, 2.0)
SIDE_OF_SIGMA_PX = 224
"""The side for which the paper's sigma is given; it shrinks with the image."""


def recoloured(view: Image.Image, second: bool, draws: random.Random) -> Image.Image:
    """Return the view with its colours jittered, greyed, blurred and solarised, each by chance."""
    if draws.random() < JITTER_PROBABILITY:
        view = _jittered(view, draws)
    if draws.random() < GREY_PROBABILITY:
        view = view.convert("L").convert("RGB")
    if draws.random() < BLUR_PROBABILITY[second]:
        view = view.filter(ImageFilter.GaussianBlur(draws.uniform(*BLUR_SIGMA) * view.width / SIDE_OF_SIGMA_PX))
    if draws.random() < SOLARISE_PROBABILITY[second]:
        view = ImageOps.solarize(view, 128)
    return view


def _jittered(view: Image.Image, draws: random.Random) -> Image.Image:
    """Change brightness, contrast, saturation and hue, in a random order."""
    changes: list[Change] = [
        partial(_enhanced, ImageEnhance.Brightness, BRIGHTNESS), partial(_enhanced, ImageEnhance.Contrast, CONTRAST),
        partial(_enhanced, ImageEnhance.Color, SATURATION), _hue_turned]
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
    turn = round(draws.uniform(-HUE, HUE) * 256)
    hue, saturation, value = view.convert("HSV").split()
    hue = hue.point([(level + turn) % 256 for level in range(256)])
    return Image.merge("HSV", (hue, saturation, value)).convert("RGB")
