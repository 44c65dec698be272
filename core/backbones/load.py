"""One name for one foundation model, whatever library it comes from."""

from __future__ import annotations

from core.backbones import weights
from core.backbones.clip import ClipBackbone, load_clip
from core.backbones.vit import TimmBackbone, load_timm


def load_backbone(name: str) -> ClipBackbone | TimmBackbone:
    """Load a backbone by its name in the catalogue, on the CPU, in float32 and evaluation mode.

    Raises:
        ConfigError: for an unknown name, listing the known.
        WeightsUnavailable: when its weights cannot be had, with the fix.
    """
    return load_clip(name) if weights.describe(name).library == "open_clip" else load_timm(name)
