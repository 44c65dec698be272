"""Pretrain starter-mae, a timm ViT with its decoder, by masked autoencoding.

He et al., 2022, "Masked autoencoders are scalable vision learners", arXiv:2111.06377.

The model and its loss are the product's own, `core.backbones.autoencoder` and `core.losses.reconstruction`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import core.torchvision_schemas  # noqa: F401

import torch
from timm.models.vision_transformer import VisionTransformer

from core.backbones.autoencoder import MaskedAutoencoder, MaskedDecoder
from core.losses.reconstruction import normalised_patches, squared_error
from core.starter import augmentation
from core.starter.image_tower import HEADS, LAYERS, PATCH_SIZE_PX, WIDTH, normalise
from core.starter.mixture import IMAGE_SIZE_PX, Mixture
from core.starter.training import Schedule, Training, best_device, optimisers, precision

DECODER_WIDTH, DECODER_DEPTH, DECODER_HEADS = 96, 2, 3


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How long and how strongly to pretrain; `views` may be changed when training is resumed."""

    views: int = 2_000_000
    batch_size: int = 512
    mask_ratio: float = 0.75
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    average_decay: float = 0.998


def masked_autoencoder() -> MaskedAutoencoder:
    """Build the encoder and its decoder, with new weights."""
    encoder = VisionTransformer(img_size=IMAGE_SIZE_PX, patch_size=PATCH_SIZE_PX, embed_dim=WIDTH, depth=LAYERS,
                                num_heads=HEADS, num_classes=0)
    return MaskedAutoencoder(encoder, MaskedDecoder(
        encoder_width=WIDTH, patches=encoder.patch_embed.num_patches, patch_px=PATCH_SIZE_PX, width=DECODER_WIDTH,
        depth=DECODER_DEPTH, heads=DECODER_HEADS))


def train(mixture: Mixture, work: Path, recipe: Recipe, seed: int = 0) -> Path:
    """Pretrain, resuming from ``work/masked_autoencoder.pt`` where it exists; return that file."""
    torch.manual_seed(seed)
    model = masked_autoencoder().to(best_device())
    training = Training(
        "masked autoencoder", model, optimisers(model, learning_rate=recipe.learning_rate, betas=(0.9, 0.95),
                                                weight_decay=recipe.weight_decay, matrices_in="blocks"),
        Schedule(total=recipe.views), work / "masked_autoencoder.pt", seed, recipe.average_decay)
    device, draw = training.device, training.generator
    run = torch.compile(model) if device.type == "cuda" else model
    patches = (IMAGE_SIZE_PX // PATCH_SIZE_PX) ** 2
    visible_count = round(patches * (1 - recipe.mask_ratio))
    digits = mixture.sources.index("mnist")
    while not training.is_over:
        drawn = torch.randint(len(mixture.train), (recipe.batch_size,), generator=draw, device=device)
        places = drawn.sort().values.cpu().numpy()
        images = torch.from_numpy(mixture.images[places]).to(device).float().div_(255)
        flip = torch.from_numpy(mixture.source[places] != digits).to(device)
        images = normalise(augmentation.zoom_shift_flip(images, flip, IMAGE_SIZE_PX, draw))
        order = torch.rand(len(images), patches, generator=draw, device=device).argsort(1)
        hidden = torch.ones(len(images), patches, device=device).scatter_(1, order[:, :visible_count], 0.0)
        with precision(device):
            predicted = run(images, order, visible_count)
        loss = squared_error(predicted, normalised_patches(images, PATCH_SIZE_PX), hidden)
        training.update(loss, len(images))
    return training.file
