"""What MUST leaves to be looked at: how it fills in what is hidden, and where it looks, beside zero-shot.

B images, H = W the side that the network sees, L patches, p their side.

Paper: Li, Savarese, Hoi, 2022, arXiv:2206.02967, Figures 3 and 4. Drawn at the end of a run, because a saved model
has no decoder.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from core.backbones.masked import MaskedClassifier
from core.catalog import MustSettings
from core.classifier import Member
from core.data.views import EvaluationView, as_tensor, normalise
from core.evaluation.drawing import as_image, heated, sheet
from core.evaluation.evidence import Backbone
from core.evaluation.recovery import TILE_PX, triplets
from core.evaluation.tokens import gradcam
from core.losses import reconstruction
from core.pictures import Picture
from core.problem import Problem
from core.training.heartbeat import Heartbeat

SHOWN = 6
NOT_KEPT = " This is the adapted model, which was not kept."


class Looks(NamedTuple):
    """What a classifier answers, and where it looks.

    Attributes:
        labels: (B,) classes.
        heats: (B, rows, columns) in 0 … 1, see `core.evaluation.tokens.gradcam`.
    """

    labels: list[int]
    heats: NDArray[np.floating]


class Sample:
    """A few images of a collection, where zero-shot looks in them, and then what the adaptation makes of them.

    Attributes:
        images: (B, 3, H, W) in [0, 1], on the run's device.
    """

    def __init__(self, settings: MustSettings, problem: Problem, run: Heartbeat, zero_shot: Member) -> None:
        """Choose the images, and let zero-shot look before its backbone is adapted."""
        self._settings, self._names, self._run = settings, problem.class_names, run
        view = EvaluationView(zero_shot.backbone.image_size_px)
        chosen = torch.randperm(len(problem.images), generator=run.generator("shown"))[:SHOWN].tolist()
        self.images = torch.stack([as_tensor(view.pixels(problem.images.load(one))) for one in chosen]).to(run.device)
        self._before = look(zero_shot, self.images)

    def draw(self, student: MaskedClassifier, member: Member, *, kept: bool) -> None:
        """Leave the run's pictures.

        Args:
            student: has the decoder.
            member: answers, as adapted.
            kept: whether it is the result, rather than zero-shot.
        """
        remark = "" if kept else NOT_KEPT
        if self._settings.masked_modelling:
            self._draw_recovered(student, member.backbone, remark)
            self._run.beat()
        self._draw_attention(look(member, self.images), remark)

    def _draw_recovered(self, student: MaskedClassifier, backbone: Backbone, remark: str) -> None:
        """Draw the images, the same with blocks hidden as in training, and what the student makes of them."""
        side = self._settings.mask_patch_px // student.patch_px
        hidden = reconstruction.hidden_patches(len(self.images), student.rows, side, self._settings.mask_ratio,
                                               self._run.generator("hidden patches of the pictures"))
        masked, found = recover(student, backbone, self.images, hidden)
        self._run.pictures.draw(Picture(
            name="recovered", title="Filling in what is hidden", columns=("image", "hidden", "filled in"),
            caption="Parts of an image are hidden, and the model guesses them from the rest. Guessing well takes "
                    "knowing how these things look, so it learns that, without labels. In a short run the guesses "
                    "stay coarse." + remark), triplets(self.images.cpu(), masked.cpu(), found.cpu()))

    def _draw_attention(self, after: Looks, remark: str) -> None:
        """Draw where zero-shot and the adapted model look."""
        squares = [as_image(one.cpu()).resize((TILE_PX, TILE_PX), Image.Resampling.BICUBIC) for one in self.images]
        rows = [[square, *(heated(square, looks.heats[row]) for looks in (self._before, after))]
                for row, square in enumerate(squares)]
        said = [(self._names[first], self._names[then])
                for first, then in zip(self._before.labels, after.labels, strict=True)]
        self._run.pictures.draw(Picture(
            name="attention", title="Where it looks", columns=("image", "zero-shot", "MUST"),
            rows=tuple(first if first == then else f"{first} → {then}" for first, then in said),
            caption="Red is where an image speaks most for the answer beside it, blue where it says nothing. An arrow "
                    "leads from zero-shot's answer to MUST's." + remark), sheet(rows, TILE_PX))


def look(member: Member, images: Tensor) -> Looks:
    """Return what a member answers to images (B, 3, H, W), and where it looks for that."""
    with torch.no_grad():
        labels = member.logits(images).argmax(dim=1)
    return Looks(labels.tolist(), gradcam(member, images, labels).cpu().numpy())


@torch.no_grad()
def recover(student: MaskedClassifier, backbone: Backbone, images: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
    """Return images (B, 3, H, W) in [0, 1] with patches `hidden` (B, L) grey, and with them recovered."""
    seen = normalise(images, backbone.mean, backbone.std)
    hidden = hidden.to(images.device)
    values = reconstruction.patches(seen, student.patch_px)  # (B, L, 3*p*p)
    values[hidden] = student(seen, hidden).recovered.float().flatten(0, 1)
    deviation, mean = (images.new_tensor(one).view(1, 3, 1, 1) for one in (backbone.std, backbone.mean))
    whole = reconstruction.pictures(values, student.rows, student.patch_px) * deviation + mean
    covered = hidden.unsqueeze(2).expand(-1, -1, student.patch_px**2)
    where = reconstruction.pictures(covered, student.rows, student.patch_px)  # (B, 1, H, W)
    return torch.where(where, 0.5, images), whole.clamp(0, 1)
