"""Vision encoders without text through timm: MAE, DINOv2, supervised ResNet.

Shapes: B images, N tokens, D features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import core.torchvision_schemas  # noqa: F401

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from core.backbones import weights
from core.errors import WeightsUnavailable

BUNDLED_ARCHITECTURE = "vit_tiny_patch16_224"
"""timm's constructor for the bundled ViT, every size of which its JSON then says."""


class TimmBackbone(nn.Module):
    """An image encoder: one vector of features an image.

    Attributes:
        name: in the catalogue.
        config: {"architecture", "arguments", "pooling"}, enough to build it again.
        image_size_px: side of the square it sees.
        mean, std: what images are normalised with.
        width: D.
        visual: timm's model without a classifier.
        pooling: "patches" for the mean of the patch tokens (MAE), "class" for the class token, "library" for what
            timm's model returns.
    """

    library = "timm"
    visual: Any

    def __init__(self, *, name: str, config: Mapping[str, Any], image_size_px: int, mean: Sequence[float],
                 std: Sequence[float], visual: nn.Module) -> None:
        super().__init__()
        self.name, self.config, self.image_size_px = name, dict(config), image_size_px
        self.mean, self.std = tuple(float(one) for one in mean), tuple(float(one) for one in std)
        self.pooling: str = config["pooling"]
        self.visual = visual
        self.width = int(self.visual.num_features)

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised images (B, 3, H, W) to features (B, D)."""
        if self.pooling in ("patches", "class"):
            tokens: Tensor = self.visual.forward_features(images)  # (B, N, D), normed
            return tokens[:, self.visual.num_prefix_tokens:].mean(1) if self.pooling == "patches" else tokens[:, 0]
        features: Tensor = self.visual(images)
        return features


def load_timm(name: str) -> TimmBackbone:
    """Load an encoder by its name in the catalogue, in float32 and evaluation mode.

    Raises:
        ConfigError: for a name that is none.
        WeightsUnavailable: when its weights cannot be had or do not fit.
    """
    config, mean, std = _described(name)
    file = weights.locate(name)
    try:
        tensors = {key: value for key, value in load_file(file).items() if not key.startswith("decoder.")}
        visual = timm.create_model(config["architecture"], pretrained=True,
                                   pretrained_cfg_overlay={"state_dict": tensors}, **config["arguments"])
    except (RuntimeError, OSError, KeyError, ValueError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise WeightsUnavailable(name, f"{file} does not fit the model ({reason}); replace the file") from error
    visual.pretrained_cfg.pop("state_dict", None)
    return TimmBackbone(name=name, config=config, image_size_px=weights.describe(name).image_size_px, mean=mean,
                        std=std, visual=visual).float().eval()


def new_timm(name: str, seed: int = 0) -> TimmBackbone:
    """Build an encoder by its name in the catalogue with new weights, drawn from `seed` as timm draws them.

    Raises:
        ConfigError: for a name that is none.
    """
    config, mean, std = _described(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return rebuild_timm(name, config, weights.describe(name).image_size_px, mean, std)


def _described(name: str) -> tuple[dict[str, Any], Sequence[float], Sequence[float]]:
    """Return a catalogued encoder's config, and the mean and deviation its images are normalised with."""
    row = weights.describe(name)
    arguments: dict[str, Any] = {"num_classes": 0}
    if row.pretrained == "bundled":
        shipped = weights.bundled_config(name)
        architecture, arguments = BUNDLED_ARCHITECTURE, {**shipped["model_args"]}
        mean, std = shipped["preprocess_cfg"]["mean"], shipped["preprocess_cfg"]["std"]
    else:
        architecture, known = row.architecture, timm.get_pretrained_cfg(row.architecture)
        mean, std = known.mean, known.std
        if architecture.startswith("vit"):
            arguments["img_size"] = row.image_size_px
    pooling = "patches" if "mae" in name else "library"
    return {"architecture": architecture, "arguments": arguments, "pooling": pooling}, mean, std


def rebuild_timm(name: str, config: Mapping[str, Any], image_size_px: int, mean: Sequence[float],
                 std: Sequence[float]) -> TimmBackbone:
    """Build an encoder without weights from what a saved classifier says of it."""
    visual = timm.create_model(config["architecture"], pretrained=False, **config["arguments"])
    return TimmBackbone(name=name, config=config, image_size_px=image_size_px, mean=mean, std=std, visual=visual).eval()
