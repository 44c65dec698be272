"""One name for one foundation model, whatever library it comes from, and whichever weights it begins with."""

from __future__ import annotations

from core.backbones import weights
from core.backbones.clip import ClipBackbone, load_clip
from core.backbones.start import Start
from core.backbones.vit import TimmBackbone, load_timm, new_timm


def load_backbone(name: str, start: Start | None = None) -> ClipBackbone | TimmBackbone:
    """Load a backbone by its name in the catalogue, on the CPU, in float32 and evaluation mode.

    Args:
        name: in the catalogue.
        start: an adapted model; where it holds this architecture, its encoder takes the published one's place.

    Raises:
        ConfigError: for an unknown name, listing the known, or another architecture of that name.
        WeightsUnavailable: when its weights cannot be had, with the fix.
        CheckpointError: when the adapted model is damaged.
    """
    clip = weights.describe(name).library == "open_clip"
    if start is None or name not in start.members:
        return load_clip(name) if clip else load_timm(name)
    backbone = load_clip(name) if clip else new_timm(name)  # a package has no text tower
    start.fill(backbone)
    return backbone
