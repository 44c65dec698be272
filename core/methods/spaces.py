"""The feature spaces that k-means and TURTLE work in: frozen backbones and what they see of each image.

Shapes: N images, D features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from core.backbones.clip import ClipBackbone
from core.backbones.features import features
from core.backbones.load import load_backbone
from core.backbones.vit import TimmBackbone
from core.backbones.weights import describe
from core.catalog import BACKBONES
from core.problem import Problem
from core.run import Run

NAMING_BACKBONE = "starter-clip"
"""Reads class names where none of the chosen spaces can."""


@dataclass(frozen=True, kw_only=True)
class Space:
    """One backbone and its features (N, D) of the problem's images, on the run's device."""

    backbone: ClipBackbone | TimmBackbone
    features: Tensor


def names_to_read(spaces: Sequence[str]) -> tuple[str, ...]:
    """Return the backbones to look through: the spaces, and one that reads class names if none of them does.

    Raises:
        ConfigError: for a space that is no backbone.
    """
    can_read = any(describe(name).has_text for name in spaces)
    return tuple(spaces) if can_read else (*spaces, NAMING_BACKBONE)


def read_spaces(names: Sequence[str], problem: Problem, run: Run, total_steps: int, batch_size: int,
                first_step: int = 0) -> list[Space]:
    """Return each backbone with its features; one step of the run an image and backbone, from `first_step`."""
    spaces = []
    for position, name in enumerate(names):
        backbone = load_backbone(name, problem.start)
        found = features(backbone, problem.images, run, stage=f"reading images with {BACKBONES[name].title}",
                         first_step=first_step + position * len(problem.images), total_steps=total_steps,
                         batch_size=batch_size)
        spaces.append(Space(backbone=backbone, features=found.to(run.device)))
    return spaces
