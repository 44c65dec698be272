"""Settings under a name: the papers' own, and ours for small collections. Standard library only.

A preset is the record of an experiment (`core.presets.preset`); each method's are in a module of its name.
"""

from __future__ import annotations

from collections.abc import Mapping

from core.catalog import BACKBONES, VIT_BACKBONES
from core.presets import finetune, maect, must, semimae, turtle
from core.presets.preset import Preset
from core.settings import Value

PRESETS: Mapping[str, Mapping[str, Preset]] = {
    "zeroshot": {},
    "kmeans": {},
    "turtle": turtle.PRESETS,
    "must": must.PRESETS,
    "maect": maect.PRESETS,
    "finetune": finetune.PRESETS,
    "semimae": semimae.PRESETS,
}


def recommend(method: str, num_images: int, backbone: str) -> tuple[str, dict[str, Value]]:
    """Choose a preset by size and backbone.

    Args:
        method: of the catalogue.
        num_images: N.
        backbone: its name, or the first of several.

    Returns:
        The preset's name ("" where the method has none) and all values to be set, the preset's own
        adjusted to the collection.
    """
    match method:
        case "turtle":
            return turtle.recommend(num_images)
        case "must" if backbone in BACKBONES:
            return must.recommend(num_images, backbone)
        case "maect" if backbone in VIT_BACKBONES:
            return maect.recommend(num_images, backbone)
        case "finetune" if backbone in BACKBONES:
            return finetune.recommend(num_images, backbone)
        case "semimae" if backbone in VIT_BACKBONES:
            return semimae.recommend(num_images, backbone)
    return "", {}
