"""A CLIP of a few thousand weights, at random or taught six shapes in seconds, in the format of starter-clip."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import core.torchvision_schemas  # noqa: F401

import numpy as np
import open_clip
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from core.data.views import StrongView

SHAPES = ("stripes", "bars", "checkerboard", "dots", "paper", "rings")
GRAIN = 25.0
SIDE_PX = 32
CONFIG = {
    "model_cfg": {
        "embed_dim": 32, "quick_gelu": True,
        "vision_cfg": {"image_size": SIDE_PX, "layers": 2, "width": 64, "head_width": 32, "patch_size": 8},
        "text_cfg": {"context_length": 12, "vocab_size": 49408, "width": 32, "heads": 1, "layers": 1}},
    "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]},
}


def write_tiny_clip(folder: Path, steps: int = 0) -> Path:
    """Write starter-clip as a tiny model, taught plain shapes for so many steps; return the folder."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = open_clip.CustomTextCLIP(**CONFIG["model_cfg"])
        nn.init.normal_(model.text.token_embedding.weight)  # so that names differ, untaught as they are
        nn.init.constant_(model.logit_scale, math.log(100.0))
        if steps:
            teach(model, steps)
    tensors = {key: value.contiguous() for key, value in model.state_dict().items()}
    save_file(tensors, folder / "starter-clip.safetensors")
    (folder / "starter-clip.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    return folder


def teach(model: torch.nn.Module, steps: int, batch_size: int = 48) -> None:
    """Train the image tower, on strong views, to match plain patterns with what the text tower says of their names."""
    draws = random.Random(0)
    patterns = [(index % len(SHAPES), draw(index % len(SHAPES), draws, plain=True)) for index in range(400)]
    view = StrongView(SIDE_PX, mirror=True)
    tokens = open_clip.SimpleTokenizer(context_length=12)([f"a photo of a {name}." for name in SHAPES])
    with torch.no_grad():
        read = functional.normalize(model.text(tokens), dim=1)
    optimiser = torch.optim.AdamW(model.visual.parameters(), fused=True)
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = 3e-3 * min(1.0, step / 20) * (1 - step / steps)
        chosen = [draws.choice(patterns) for _ in range(batch_size)]
        pixels = np.stack([view.pixels(image, draws.getrandbits(32)) for _, image in chosen])
        images = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.25
        seen = functional.normalize(model.visual(images), dim=1)
        optimiser.zero_grad()
        labels = torch.tensor([label for label, _ in chosen])
        functional.cross_entropy(model.logit_scale.exp() * seen @ read.T, labels).backward()
        optimiser.step()


def draw(kind: int, draws: random.Random, plain: bool) -> Image.Image:
    """Draw a pattern: bright on dark when `plain`, otherwise in another style (little contrast, grain)."""
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX] + draws.random() * 8
    period = draws.uniform(6, 9)
    centre = SIDE_PX / 2 + draws.uniform(-8, 8)
    waves = {
        0: np.sin(2 * np.pi * y / period), 1: np.sin(2 * np.pi * x / period),
        2: np.sign(np.sin(np.pi * x / period) * np.sin(np.pi * y / period)),
        3: 2.0 * (np.hypot(x % period - period / 2, y % period - period / 2) < 2.2) - 1,
        4: (x + y) / SIDE_PX - 1, 5: np.sin(2 * np.pi * np.hypot(x - centre, y - centre) / period),
    }
    dark, bright = ((0, 40), (190, 255)) if plain else ((70, 100), (130, 170))
    low, high = draws.randint(*dark), draws.randint(*bright)
    tint = np.array([draws.uniform(0.7, 1.0) for _ in range(3)])
    pixels = (low + (high - low) * (waves[kind][:, :, None] + 1) / 2) * tint
    if not plain:
        pixels += np.random.default_rng(draws.getrandbits(32)).normal(0, GRAIN, pixels.shape)
    return Image.fromarray(np.clip(pixels, 0, 255).astype("uint8"))


def write_shapes(folder: Path, count: int, plain: bool = False, seed: int = 1) -> list[int]:
    """Write `count` shapes as PNG files; return the true labels in file order."""
    draws = random.Random(seed)
    labels = [index % len(SHAPES) for index in range(count)]
    folder.mkdir(parents=True, exist_ok=True)
    for index, label in enumerate(labels):
        draw(label, draws, plain).save(folder / f"shape-{index:04d}.png")
    return labels
