"""CLIP (Radford et al., 2021, arXiv:2103.00020) through open_clip: an image tower and a text tower.

Shapes: B images, n sentences, E embedding width.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import cached_property
from pathlib import Path
from typing import Any

import core.torchvision_schemas  # noqa: F401

import open_clip
import torch
from open_clip.factory import load_checkpoint
from safetensors import SafetensorError
from torch import Tensor, nn

from core.backbones import weights
from core.errors import ConfigError, WeightsUnavailable

SENTENCES_AT_ONCE = 256
_NO_TEXT = {"context_length": 2, "vocab_size": 2, "width": 8, "heads": 1, "layers": 1}


class ClipBackbone(nn.Module):
    """An image tower whose embeddings can be compared with those of sentences.

    Attributes:
        name: in the catalogue.
        config: open_clip's model configuration, enough to build the tower again.
        image_size_px: side of the square it sees.
        mean, std: what images are normalised with.
        width: E.
        logit_scale: the learnt inverse temperature, already exponentiated.
        visual: open_clip's image tower, projection included.
        text: its text tower, or None in a saved classifier.
    """

    library = "open_clip"

    def __init__(self, *, name: str, config: Mapping[str, Any], mean: Sequence[float], std: Sequence[float],
                 visual: nn.Module, text: nn.Module | None, logit_scale: float) -> None:
        super().__init__()
        self.name, self.config = name, dict(config)
        self.mean, self.std = tuple(float(one) for one in mean), tuple(float(one) for one in std)
        self.image_size_px = int(config["vision_cfg"]["image_size"])
        self.width = int(config["embed_dim"])
        self.logit_scale = logit_scale
        self.visual = visual
        self.text = text

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised images (B, 3, H, W) to embeddings (B, E), not of unit length."""
        embedding: Tensor = self.visual(images)
        return embedding

    @torch.no_grad()
    def encode_text(self, sentences: Sequence[str]) -> Tensor:
        """Map sentences to embeddings (n, E), not of unit length; over-long ones are cut as open_clip cuts.

        Raises:
            ConfigError: for a saved classifier, which keeps the image tower only.
        """
        if self.text is None:
            raise ConfigError("backbone", f"this {self.name} was saved without its text tower; load it by its name")
        device = next(self.text.parameters()).device
        tokens = self._tokenizer(list(sentences))
        parts = [self.text(part.to(device)) for part in tokens.split(SENTENCES_AT_ONCE)]
        return torch.cat(parts)

    @cached_property
    def _tokenizer(self) -> Any:
        return open_clip.SimpleTokenizer(context_length=int(self.config["text_cfg"]["context_length"]))


def load_clip(name: str) -> ClipBackbone:
    """Load a CLIP by its name in the catalogue, in float32 and evaluation mode.

    Raises:
        ConfigError: for a name that is none.
        WeightsUnavailable: when its weights cannot be had or do not fit.
    """
    row = weights.describe(name)
    if row.pretrained == "bundled":
        shipped = weights.bundled_config(name)
        config, mean, std = shipped["model_cfg"], shipped["preprocess_cfg"]["mean"], shipped["preprocess_cfg"]["std"]
    else:
        config, mean, std = (open_clip.get_model_config(row.architecture), open_clip.OPENAI_DATASET_MEAN,
                             open_clip.OPENAI_DATASET_STD)
    model = _build(config)
    _fill(model, weights.locate(name), name)
    backbone = ClipBackbone(name=name, config=config, mean=mean, std=std, visual=model.visual, text=model.text,
                            logit_scale=math.exp(float(model.logit_scale.detach())))
    return backbone.float().eval()


def rebuild_clip(name: str, config: Mapping[str, Any], mean: Sequence[float], std: Sequence[float],
                 logit_scale: float) -> ClipBackbone:
    """Build an image tower without weights or text from what a saved classifier says of it."""
    model = _build({**config, "text_cfg": _NO_TEXT})
    return ClipBackbone(name=name, config=config, mean=mean, std=std, visual=model.visual, text=None,
                        logit_scale=logit_scale).eval()


def _build(config: Mapping[str, Any]) -> Any:
    """Build open_clip's model with its two towers apart (`CustomTextCLIP`), which loads either form of weights."""
    arguments = {key: value for key, value in deepcopy(dict(config)).items() if key != "custom_text"}
    return open_clip.CustomTextCLIP(**arguments)


def _fill(model: nn.Module, file: Path, name: str) -> None:
    """Load every weight, strictly."""
    try:
        load_checkpoint(model, str(file), strict=True)
    except (RuntimeError, OSError, KeyError, ValueError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise WeightsUnavailable(name, f"{file} does not fit the model ({reason}); replace the file") from error
