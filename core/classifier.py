"""The result of every method: backbones with linear heads, class names and preprocessing, saved as two files.

Shapes: B or N images, D features, K classes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from core.backbones.clip import ClipBackbone, rebuild_clip
from core.backbones.vit import TimmBackbone, rebuild_timm
from core.data.batches import batches
from core.data.images import ImageSet
from core.data.views import EvaluationView, View, normalise
from core.errors import CheckpointError
from core.run import Progress, Run
from core.training.chunks import within

FORMAT_VERSION = 1
"""Of the saved folder; 1: model.safetensors and settings.json."""

COMBINATIONS = ("mean_of_softmax", "sum_of_logits")
"""How several members answer together: TURTLE's labelling, or k-means on concatenated features."""


@dataclass(frozen=True)
class Predictions:
    """The answers for N images."""

    probabilities: Tensor

    @cached_property
    def labels(self) -> Tensor:
        """The most probable class of each image, (N,)."""
        return self.probabilities.argmax(1)

    @cached_property
    def confidence(self) -> Tensor:
        """Its probability, (N,)."""
        return self.probabilities.max(1).values

    @cached_property
    def margin(self) -> Tensor:
        """How far the next class is behind, (N,) in 0 … 1."""
        if self.probabilities.shape[1] == 1:
            return self.confidence
        first, second = self.probabilities.topk(2, dim=1).values.unbind(1)
        return first - second

    @cached_property
    def histogram(self) -> Tensor:
        """How many images each class got, (K,)."""
        return torch.bincount(self.labels, minlength=self.probabilities.shape[1])


@dataclass(frozen=True, kw_only=True)
class Member:
    """One backbone with a linear head: ``scale * (normalised or plain embedding) @ weight + bias``.

    Attributes:
        backbone: its image tower is kept; a text tower is not saved.
        weight: (D, K).
        bias: (K,) or None.
        normalise: whether embeddings are brought to unit length first.
        scale: factor of the product (CLIP's logit scale), 1 where there is none.
    """

    backbone: ClipBackbone | TimmBackbone
    weight: Tensor
    bias: Tensor | None = None
    normalise: bool = False
    scale: float = 1.0

    def __post_init__(self) -> None:
        """Lay the weight out as its file will have it: another layout, another rounding of the same product."""
        object.__setattr__(self, "weight", self.weight.contiguous())

    def logits(self, images: Tensor) -> Tensor:
        """Map images (B, 3, H, W) in [0, 1] to (B, K), in float32."""
        embedding = self.backbone(normalise(images, self.backbone.mean, self.backbone.std)).float()
        return self.head(embedding)

    def head(self, embedding: Tensor) -> Tensor:
        """Map embeddings (B, D) as the backbone gives them to (B, K)."""
        if self.normalise:
            embedding = functional.normalize(embedding, dim=-1)
        weight = self.weight.to(embedding.device)
        found = self.scale * (embedding @ weight)
        return found if self.bias is None else found + self.bias.to(embedding.device)


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """Backbones with heads, what their classes are called, and how it came about.

    Attributes:
        members: at least one.
        class_names: K; clusters without names are "cluster 1", "cluster 2", … (`cluster_names`).
        method: its name in the catalogue.
        settings: of the method, with whatever else belongs on the card; JSON values only.
        combination: one of `COMBINATIONS`; of no effect with one member.
    """

    members: tuple[Member, ...]
    class_names: tuple[str, ...]
    method: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    combination: str = "mean_of_softmax"

    def __post_init__(self) -> None:
        """Refuse heads that do not fit their backbones or the names."""
        if not self.members or self.combination not in COMBINATIONS:
            raise ValueError(f"{len(self.members)} members combined by {self.combination!r}")
        for member in self.members:
            expected = (member.backbone.width, len(self.class_names))
            if tuple(member.weight.shape) != expected:
                raise ValueError(f"head of {tuple(member.weight.shape)} for {expected}")

    @property
    def image_sizes_px(self) -> tuple[int, ...]:
        """The sides that the members see, without repetition, in order."""
        return tuple(dict.fromkeys(member.backbone.image_size_px for member in self.members))

    def to(self, device: torch.device) -> Classifier:
        """Move the backbones (in place) and return this classifier."""
        for member in self.members:
            member.backbone.to(device)
        return self

    @torch.no_grad()
    def logits(self, images: Tensor) -> Tensor:
        """Map images (B, 3, H, W) in [0, 1] to (B, K); a softmax of it gives the probabilities.

        Images of another size than a member's are resized for it; `predict` looks at each image in
        every size instead, which is exact.
        """
        return self._logits({side: _resized(images, side) for side in self.image_sizes_px})

    @torch.no_grad()
    def predict(self, images: ImageSet, run: Run | None = None, *, stage: str = "answering", first_step: int = 0,
                total_steps: int | None = None, batch_size: int = 256,
                view: Callable[[int], View] = EvaluationView) -> Predictions:
        """Answer every image, one step an image; on the run's device, else where the backbones are.

        Args:
            images: N.
            run: told of progress; may raise.
            stage: what it is told.
            first_step: the run's step at which this begins.
            total_steps: of the whole run; N alone when None.
            batch_size: images at once.
            view: of a member's side, how an image is looked at; another than the plain one shows how
                steady the answers are.

        Raises:
            Cancelled: when the person asked to stop.
            DataError: when a file has gone or changed.
        """
        device = run.device if run is not None else next(self.members[0].backbone.parameters()).device
        self.to(device)
        for member in self.members:
            member.backbone.eval()
        views = tuple(view(side) for side in self.image_sizes_px)
        total = len(images) if total_steps is None else total_steps
        found: list[Tensor] = []
        done = 0
        at_once = within(run.memory_share, batch_size, batch_size) if run is not None else batch_size
        for indices, pixels in batches(images, views, range(len(images)), at_once, seed=0):
            looked_at = {one.image_size_px: seen.to(device) for one, seen in zip(views, pixels)}
            found.append(self._logits(looked_at).softmax(1).cpu())
            done += len(indices)
            if run is not None:
                run.report(Progress(stage=stage, step=first_step + done, total=total))
        return Predictions(torch.cat(found))

    def save(self, folder: Path) -> None:
        """Write model.safetensors and settings.json into `folder`, each whole or not at all.

        Raises:
            CheckpointError: when the disk is full or cannot be written.
        """
        tensors: dict[str, Tensor] = {}
        for index, member in enumerate(self.members):
            prefix = f"members.{index}."
            for key, value in member.backbone.visual.state_dict().items():
                tensors[f"{prefix}visual.{key}"] = value.detach().cpu().contiguous().clone()
            tensors[f"{prefix}weight"] = member.weight.detach().cpu().float().contiguous().clone()
            if member.bias is not None:
                tensors[f"{prefix}bias"] = member.bias.detach().cpu().float().contiguous().clone()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            part = folder / "model.part"
            save_file(tensors, part, metadata={"format": "pt"})
            part.replace(folder / "model.safetensors")
            part = folder / "settings.part"
            part.write_text(json.dumps(self._described(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
            part.replace(folder / "settings.json")
        except (OSError, SafetensorError) as error:
            reason = f"could not be written: {error}; free some space and try again"
            raise CheckpointError(str(folder), reason, retryable=True) from error

    @classmethod
    def load(cls, folder: Path) -> Classifier:
        """Read what `save` wrote, on the CPU, in evaluation mode.

        Raises:
            CheckpointError: for a missing or damaged file, or another format version.
        """
        try:
            said = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
            version = said.get("format_version")
            if version != FORMAT_VERSION:
                reason = (f"saved in format {version}, this labelfree reads format {FORMAT_VERSION}; "
                          "use the labelfree that made it, or run the method again")
                raise CheckpointError(str(folder), reason)
            tensors = load_file(folder / "model.safetensors")
            members = tuple(_rebuild(one, tensors, f"members.{index}.") for index, one in enumerate(said["members"]))
            return cls(members=members, class_names=tuple(said["class_names"]), method=said["method"],
                       settings=said["settings"], combination=said["combination"])
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, SafetensorError) as error:
            raise CheckpointError(str(folder), f"not a saved classifier, or damaged: {error}") from error

    def _logits(self, images: Mapping[int, Tensor]) -> Tensor:
        """Combine the members' answers; images by the side that each member sees."""
        each = [member.logits(images[member.backbone.image_size_px]) for member in self.members]
        if len(each) == 1:
            return each[0]
        together = torch.stack(each)
        if self.combination == "sum_of_logits":
            return together.sum(0)
        return together.softmax(-1).mean(0).clamp_min(torch.finfo(torch.float32).tiny).log()

    def _described(self) -> dict[str, Any]:
        """Return what settings.json says."""
        return {
            "format_version": FORMAT_VERSION,
            "method": self.method,
            "settings": dict(self.settings),
            "class_names": list(self.class_names),
            "combination": self.combination,
            "members": [_describe(member) for member in self.members],
        }


def cluster_names(count: int) -> tuple[str, ...]:
    """Return "cluster 1" … for classes that nobody has named."""
    return tuple(f"cluster {number}" for number in range(1, count + 1))


def _describe(member: Member) -> dict[str, Any]:
    """Return what settings.json says of one member: all that it takes to build it again."""
    backbone = member.backbone
    said: dict[str, Any] = {
        "backbone": backbone.name, "library": backbone.library, "config": backbone.config,
        "image_size_px": backbone.image_size_px, "mean": list(backbone.mean), "std": list(backbone.std),
        "normalise": member.normalise, "scale": member.scale,
    }
    if isinstance(backbone, ClipBackbone):
        said["logit_scale"] = backbone.logit_scale
    return said


def _rebuild(said: Mapping[str, Any], tensors: Mapping[str, Tensor], prefix: str) -> Member:
    """Build one member again and fill in its weights, strictly."""
    backbone: ClipBackbone | TimmBackbone
    if said["library"] == "open_clip":
        backbone = rebuild_clip(said["backbone"], said["config"], said["mean"], said["std"], said["logit_scale"])
    else:
        backbone = rebuild_timm(said["backbone"], said["config"], said["image_size_px"], said["mean"], said["std"])
    start = f"{prefix}visual."
    backbone.visual.load_state_dict(
        {key.removeprefix(start): value for key, value in tensors.items() if key.startswith(start)}, strict=True)
    return Member(backbone=backbone, weight=tensors[f"{prefix}weight"], bias=tensors.get(f"{prefix}bias"),
                  normalise=said["normalise"], scale=said["scale"])


def _resized(images: Tensor, side_px: int) -> Tensor:
    """Return (B, 3, H, W) at the side that a member sees."""
    if images.shape[-2:] == (side_px, side_px):
        return images
    return functional.interpolate(images, size=(side_px, side_px), mode="bicubic", antialias=True).clamp(0, 1)
