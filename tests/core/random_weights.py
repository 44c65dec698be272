"""Starter models at random, in the format of those that ship, for machines and tests that have no others."""

from __future__ import annotations

import json
from pathlib import Path

import core.torchvision_schemas  # noqa: F401

import open_clip
import torch
from safetensors.torch import save_file

from core.starter.masked_autoencoder import masked_autoencoder

MEAN, STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
STARTER_CLIP = {
    "model_cfg": {
        "embed_dim": 256, "quick_gelu": True,
        "vision_cfg": {"image_size": 64, "layers": 6, "width": 192, "head_width": 64, "patch_size": 8},
        "text_cfg": {"context_length": 32, "vocab_size": 49408, "width": 128, "heads": 2, "layers": 4}},
    "preprocess_cfg": {"mean": MEAN, "std": STD},
}
STARTER_MAE = {
    "model_args": {"img_size": 64, "patch_size": 8, "embed_dim": 192, "depth": 6, "num_heads": 3, "num_classes": 0},
    "preprocess_cfg": {"mean": MEAN, "std": STD},
}


def write_starters(folder: Path, seed: int = 0) -> Path:
    """Write starter-clip and starter-mae, float16 as the bundled ones; return the folder for LABELFREE_WEIGHTS."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        clip = open_clip.CLIP(**STARTER_CLIP["model_cfg"]).state_dict()
        mae = {key.removeprefix("encoder."): value for key, value in masked_autoencoder().state_dict().items()}
    for name, tensors, config in (("starter-clip", clip, STARTER_CLIP), ("starter-mae", mae, STARTER_MAE)):
        save_file({key: value.half().contiguous() for key, value in tensors.items()}, folder / f"{name}.safetensors")
        (folder / f"{name}.json").write_text(json.dumps(config), encoding="utf-8")
    return folder
