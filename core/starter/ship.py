"""Write the trained starters as the files the product loads: float16 safetensors, a config and a card."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from core.starter import image_tower, shipped, text_tower
from core.starter.sentences import EMBEDDING_WIDTH
from core.starter.shipped import WEIGHTS

CLIP_CONFIG = {
    "model_cfg": {
        "embed_dim": EMBEDDING_WIDTH,
        "quick_gelu": True,
        "vision_cfg": {"image_size": 64, "layers": image_tower.LAYERS, "width": image_tower.WIDTH, "head_width": 64,
                       "patch_size": image_tower.PATCH_SIZE_PX},
        "text_cfg": {"context_length": text_tower.CONTEXT_LENGTH, "vocab_size": text_tower.VOCABULARY_SIZE,
                     "width": text_tower.WIDTH, "heads": text_tower.HEADS, "layers": text_tower.LAYERS},
    },
    "preprocess_cfg": {"mean": list(image_tower.MEAN), "std": list(image_tower.STD)},
}
MAE_CONFIG = {
    "model_args": {"img_size": 64, "patch_size": image_tower.PATCH_SIZE_PX, "embed_dim": image_tower.WIDTH,
                   "depth": image_tower.LAYERS, "num_heads": image_tower.HEADS, "num_classes": 0},
    "preprocess_cfg": {"mean": list(image_tower.MEAN), "std": list(image_tower.STD)},
}


def _write(name: str, tensors: dict[str, torch.Tensor], config: dict[str, object]) -> Path:
    WEIGHTS.mkdir(exist_ok=True)
    file = WEIGHTS / f"{name}.safetensors"
    save_file({key: value.half().contiguous() for key, value in tensors.items()}, file, metadata={"format": "pt"})
    (WEIGHTS / f"{name}.json").write_text(json.dumps(config, indent=2) + "\n")
    return file


def ship_clip(work: Path, share: float = 1.0) -> Path:
    """Join the averaged image tower and the text tower as one open_clip model.

    Args:
        work: where the checkpoints are; without a text tower's, the shipped one stays.
        share: of the new image tower; the rest is the shipped one's, weight by weight (a soup: Wortsman et
            al., 2022, arXiv:2203.05482, of two towers on one path; the text tower must be the same).
    """
    image = torch.load(work / "image_tower.pt", weights_only=True, map_location="cpu")["average"]
    before = shipped.tensors("starter-clip") if share < 1 or not (work / text_tower.CHECKPOINT).exists() else {}
    text = {key: value for key, value in before.items() if key not in image}
    if (work / text_tower.CHECKPOINT).exists():
        text = torch.load(work / text_tower.CHECKPOINT, weights_only=True, map_location="cpu")["average"]
    tensors = {key: value if share == 1 else torch.lerp(before[key], value, share) for key, value in image.items()}
    tensors |= {key: value for key, value in text.items() if key != "attn_mask"}
    return _write("starter-clip", tensors, CLIP_CONFIG)


def ship_mae(work: Path) -> Path:
    """Write the averaged encoder under timm's own names, and the decoder under ``decoder.``."""
    average = torch.load(work / "masked_autoencoder.pt", weights_only=True, map_location="cpu")["average"]
    tensors = {key.removeprefix("encoder."): value for key, value in average.items()}
    return _write("starter-mae", tensors, MAE_CONFIG)
