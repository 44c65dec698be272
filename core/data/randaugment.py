"""RandAugment (Cubuk et al., 2020, arXiv:1909.13719) as timm's ``rand-m9-mstd0.5-inc1``, without global state.

timm draws from Python's `random` and NumPy's global generator. Here the same draws in the same
order come from generators of one image, so that pictures can be made in threads, and any one can
be made again; for equal seeds the picture is timm's.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import core.torchvision_schemas  # noqa: F401

import numpy as np
from PIL import Image
from timm.data import auto_augment as timm

MAGNITUDE, MAGNITUDE_DEVIATION, LARGEST = 9.0, 0.5, 10.0
LAYERS, PROBABILITY = 2, 0.5
FILL = (123, 117, 104)
"""Of the corners that a turn leaves empty: CLIP's mean colour, as timm takes the network's mean."""
TRANSLATE_SHARE = 0.45

Operation = Callable[[Image.Image, float, random.Random], Image.Image]


def _signed(value: float, draws: random.Random) -> float:
    return -value if draws.random() > 0.5 else value


def _geometric(function: Callable[..., Image.Image], largest: float) -> Operation:
    """Return a turn, shear or shift by level / 10 of its largest, to either side."""
    def apply(image: Image.Image, level: float, draws: random.Random) -> Image.Image:
        return function(image, _signed(level / LARGEST * largest, draws), fillcolor=FILL,
                        resample=Image.Resampling.BICUBIC)
    return apply


def _enhancing(function: Callable[..., Image.Image]) -> Operation:
    """Return a change of colour, contrast, brightness or sharpness to more or less, at least 0.1."""
    def apply(image: Image.Image, level: float, draws: random.Random) -> Image.Image:
        return function(image, max(0.1, 1.0 + _signed(level / LARGEST * 0.9, draws)))
    return apply


OPERATIONS: tuple[Operation, ...] = (
    lambda image, level, draws: timm.auto_contrast(image),
    lambda image, level, draws: timm.equalize(image),
    lambda image, level, draws: timm.invert(image),
    _geometric(timm.rotate, 30.0),
    lambda image, level, draws: timm.posterize(image, 4 - int(level / LARGEST * 4)),
    lambda image, level, draws: timm.solarize(image, 256 - min(256, int(level / LARGEST * 256))),
    lambda image, level, draws: timm.solarize_add(image, min(128, int(level / LARGEST * 110))),
    _enhancing(timm.color),
    _enhancing(timm.contrast),
    _enhancing(timm.brightness),
    _enhancing(timm.sharpness),
    _geometric(timm.shear_x, 0.3),
    _geometric(timm.shear_y, 0.3),
    _geometric(timm.translate_x_rel, TRANSLATE_SHARE),
    _geometric(timm.translate_y_rel, TRANSLATE_SHARE),
)
"""timm's increasing transforms, in its order."""


def randaugment(image: Image.Image, seed: int) -> Image.Image:
    """Return the image after two operations, each applied with probability ½ at a magnitude around 9 of 10."""
    chosen = np.random.RandomState(seed % 2**32).choice(len(OPERATIONS), LAYERS)
    draws = random.Random(seed)
    for index in chosen:
        if draws.random() > PROBABILITY:
            continue
        level = max(0.0, min(draws.gauss(MAGNITUDE, MAGNITUDE_DEVIATION), LARGEST))
        image = OPERATIONS[index](image, level, draws)
    return image
