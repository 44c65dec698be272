"""Effective invariance: does the model answer the same, and as surely, when an image is turned or recoloured?

Deng, Gould, Zheng, "On the strong correlation between model invariance and generalization", NeurIPS 2022,
as in Lehner et al., 2023, arXiv:2304.10520, Table 15: rotations by 90, 180 and 270 degrees; brightness,
contrast, hue and saturation. No truth is needed where a model answers.

Shapes: N images, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image, ImageEnhance
from torch import Tensor

from core.data.recolouring import turned_hue
from core.data.views import EvaluationView
from core.evaluation.evidence import Evidence, Finding
from core.evaluation.probe import judge

Change = Callable[[Image.Image], Image.Image]

FACTORS, TURNS = (0.6, 1.4), (-0.1, 0.1)
"""The paper gives no strengths: these are the ends of BYOL's jitter, which MAE-CT's augmentations draw from."""


def _rotated(turn: Image.Transpose) -> Change:
    return lambda image: image.transpose(turn)


def _enhanced(kind: Callable[[Image.Image], ImageEnhance._Enhance], factor: float) -> Change:
    return lambda image: kind(image).enhance(factor)


CHANGES: Mapping[str, tuple[Change, ...]] = {
    "rotation_90": (_rotated(Image.Transpose.ROTATE_90),),
    "rotation_180": (_rotated(Image.Transpose.ROTATE_180),),
    "rotation_270": (_rotated(Image.Transpose.ROTATE_270),),
    "brightness": tuple(_enhanced(ImageEnhance.Brightness, factor) for factor in FACTORS),
    "contrast": tuple(_enhanced(ImageEnhance.Contrast, factor) for factor in FACTORS),
    "saturation": tuple(_enhanced(ImageEnhance.Color, factor) for factor in FACTORS),
    "hue": tuple(partial(turned_hue, turn=turn) for turn in TURNS),
}


@dataclass(frozen=True)
class ChangedView:
    """An image as every answer is made from it, changed afterwards."""

    image_size_px: int
    change: Change
    at_least_px: int | None = None

    def pixels(self, image: Image.Image, seed: int) -> np.ndarray:
        """Return the view as (H, W, 3) bytes."""
        return np.array(self.change(Image.fromarray(EvaluationView(self.image_size_px).pixels(image))))


def effective_invariance(plain: Tensor, changed: Tensor) -> Tensor:
    """Return each image's effective invariance (N,), 0 … 1, from two rows of probabilities (N, K).

    0 where the class changes, else the geometric mean of its two probabilities (Deng et al., Eq. 3).
    """
    first, second = plain.max(dim=1), changed.max(dim=1)
    return (first.values * second.values).sqrt() * (first.indices == second.indices)


def invariance(evidence: Evidence) -> Finding:
    """Measure the mean effective invariance against each change, and against both kinds of them."""
    classifier, asked = judge(evidence)
    images = evidence.pictures.subset(asked.tolist())
    plain = classifier.predict(images, evidence.run).probabilities
    figures: dict[str, float] = {}
    for name, changes in CHANGES.items():
        each = [classifier.predict(images, evidence.run, stage=name, view=partial(ChangedView, change=change))
                for change in changes]
        figures[name] = float(np.mean([float(effective_invariance(plain, one.probabilities).mean()) for one in each]))
    turned = [value for name, value in figures.items() if name.startswith("rotation")]
    recoloured = [value for name, value in figures.items() if not name.startswith("rotation")]
    return Finding(figures={**figures, "rotations": float(np.mean(turned)), "colours": float(np.mean(recoloured))},
                   images=len(asked))
