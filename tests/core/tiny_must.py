"""MUST on the tiny CLIP and a few shapes: settings that are quick, a run, and what came of it."""

from __future__ import annotations

from pathlib import Path

import torch

from core.catalog import MustSettings
from core.classifier import Classifier
from core.data.images import ImageSet
from core.problem import Problem
from core.shell import LocalRun
from tests.core import tiny_clip
from tests.core.recorder import Recorder

NAMES = tiny_clip.SHAPES
QUICK = MustSettings(templates="one", epochs=4, batch_size=12, base_learning_rate=1e-2, threshold=0.1, mask_patch_px=8,
                     average_start=0.5, average_end=0.9, average_ramp_steps=5)


def local_run(folder: Path, recorder: Recorder | None = None, seed: int = 0) -> LocalRun:
    return LocalRun(device=torch.device("cpu"), seed=seed, folder=folder, listener=recorder)


def weights_of(classifier: Classifier) -> dict[str, torch.Tensor]:
    (member,) = classifier.members
    return {**member.backbone.visual.state_dict(), "head": member.weight}


def same(first: Classifier, second: Classifier) -> bool:
    return all(torch.equal(one, weights_of(second)[name]) for name, one in weights_of(first).items())


def joint(shapes: ImageSet) -> Problem:
    """Return a question of thirteen shapes, with the others in two further collections."""
    own, first, second = (shapes.subset(range(start, end)) for start, end in ((0, 13), (13, 30), (30, 38)))
    return Problem(images=own, class_names=NAMES, also=(first, second))
