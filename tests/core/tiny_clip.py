"""A CLIP of a few thousand weights, at random or taught six shapes in seconds, in the format of starter-clip."""

from __future__ import annotations

import json
import random
from pathlib import Path

import core.torchvision_schemas  # noqa: F401

import numpy as np
import open_clip
import torch
from PIL import Image, ImageDraw, ImageFilter
from safetensors.torch import save_file
from torch.nn import functional

SHAPES = ("circle", "square", "triangle", "cross", "ring", "bars")
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
        if steps:
            teach(model, steps)
    tensors = {key: value.contiguous() for key, value in model.state_dict().items()}
    save_file(tensors, folder / "starter-clip.safetensors")
    (folder / "starter-clip.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    return folder


def teach(model: torch.nn.Module, steps: int, batch_size: int = 64) -> None:
    """Train both towers to match plain shapes with their names."""
    model.text.token_embedding.requires_grad_(False)
    model.logit_scale.requires_grad_(False)
    tokens = open_clip.SimpleTokenizer(context_length=12)([f"a photo of a {name}." for name in SHAPES])
    optimiser = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad], lr=2e-3, fused=True)
    draws = random.Random(0)
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = 2e-3 * (1 - step / steps)
        labels = torch.tensor([draws.randrange(len(SHAPES)) for _ in range(batch_size)])
        pixels = np.stack([np.asarray(draw(int(label), draws, plain=True)) for label in labels])
        images = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.25
        seen, read = (functional.normalize(one, dim=1) for one in (model.visual(images), model.text(tokens)))
        optimiser.zero_grad()
        functional.cross_entropy(model.logit_scale.exp() * seen @ read.T, labels).backward()
        optimiser.step()


def draw(kind: int, draws: random.Random, plain: bool) -> Image.Image:
    """Draw a shape: bright on dark when `plain`, otherwise in another style (colours, grain, blur)."""
    def level(low: int, high: int) -> tuple[int, ...]:
        return tuple(draws.randint(low, high) for _ in range(3))

    paper, ink = (level(0, 60), level(160, 255)) if plain else (level(30, 130), level(110, 255))
    image = Image.new("RGB", (SIDE_PX, SIDE_PX), paper)
    pen = ImageDraw.Draw(image)
    half = draws.randint(8, 12)
    x, y = draws.randint(half, SIDE_PX - half), draws.randint(half, SIDE_PX - half)
    box = (x - half, y - half, x + half, y + half)
    if kind == 0:
        pen.ellipse(box, fill=ink)
    elif kind == 1:
        pen.rectangle(box, fill=ink)
    elif kind == 2:
        pen.polygon([(x, y - half), (x - half, y + half), (x + half, y + half)], fill=ink)
    elif kind == 3:
        pen.rectangle((x - 2, y - half, x + 2, y + half), fill=ink)
        pen.rectangle((x - half, y - 2, x + half, y + 2), fill=ink)
    elif kind == 4:
        pen.ellipse(box, outline=ink, width=3)
    else:
        for offset in range(-half, half, 6):
            pen.rectangle((x + offset, y - half, x + offset + 2, y + half), fill=ink)
    if plain:
        return image
    grain = np.random.default_rng(draws.getrandbits(32)).normal(0, 45, (SIDE_PX, SIDE_PX, 3))
    grainy = np.clip(np.asarray(image) + grain, 0, 255).astype("uint8")
    return Image.fromarray(grainy).filter(ImageFilter.GaussianBlur(0.8))


def write_shapes(folder: Path, count: int, plain: bool = False, seed: int = 1) -> list[int]:
    """Write `count` shapes as PNG files; return the true labels in file order."""
    draws = random.Random(seed)
    labels = [index % len(SHAPES) for index in range(count)]
    folder.mkdir(parents=True, exist_ok=True)
    for index, label in enumerate(labels):
        draw(label, draws, plain).save(folder / f"shape-{index:04d}.png")
    return labels
