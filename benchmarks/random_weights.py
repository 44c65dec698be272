"""Weights at random, in the very format in which open_clip and timm publish those of the catalogue's models."""

from __future__ import annotations

from pathlib import Path

import core.torchvision_schemas  # noqa: F401

import open_clip
import timm
import torch
from safetensors.torch import save_file

from core.catalog import BACKBONES


def write_catalogued(folder: Path, name: str, seed: int = 0) -> torch.nn.Module:
    """Write a catalogued model at random as its library publishes it, for LABELFREE_WEIGHTS; return that model."""
    row = BACKBONES[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if row.library == "open_clip":
            model = open_clip.CLIP(**open_clip.get_model_config(row.architecture))
        else:  # as published: with whatever classifier and image size timm's own configuration says
            model = timm.create_model(row.architecture, pretrained=False)
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, folder / f"{name}.safetensors")
    return model.eval()
