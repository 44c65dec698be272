"""Pretrain starter-mae, a timm ViT with its decoder, by masked autoencoding.

He et al., 2022, "Masked autoencoders are scalable vision learners", arXiv:2111.06377.

Shapes: B images, L patches, V visible patches, D encoder width, P pixels of a patch (8 * 8 * 3,
ordered row, column, channel).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor, nn

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


class MaskedDecoder(nn.Module):
    """The light decoder: mask tokens stand for hidden patches, a linear layer gives their pixels."""

    def __init__(self) -> None:
        super().__init__()
        patches = (IMAGE_SIZE_PX // PATCH_SIZE_PX) ** 2
        self.embed = nn.Linear(WIDTH, DECODER_WIDTH)
        self.mask_token = nn.Parameter(torch.randn(1, 1, DECODER_WIDTH) * 0.02)
        self.pos_embed = nn.Parameter(torch.randn(1, patches + 1, DECODER_WIDTH) * 0.02)
        self.blocks = nn.Sequential(*(Block(DECODER_WIDTH, DECODER_HEADS, qkv_bias=True) for _ in range(DECODER_DEPTH)))
        self.norm = nn.LayerNorm(DECODER_WIDTH)
        self.predict = nn.Linear(DECODER_WIDTH, PATCH_SIZE_PX**2 * 3)

    def forward(self, visible: Tensor, restore: Tensor) -> Tensor:
        """Map the encoder's (B, 1 + V, D) to the pixels of every patch, (B, L, P).

        Args:
            visible: class token and visible patches.
            restore: (B, L), the place of each patch in the order "visible first".
        """
        tokens = self.embed(visible)
        hidden = restore.shape[1] + 1 - tokens.shape[1]
        patches = torch.cat([tokens[:, 1:], self.mask_token.expand(len(tokens), hidden, -1).to(tokens.dtype)], 1)
        patches = patches.gather(1, restore[..., None].expand(-1, -1, patches.shape[-1]))
        tokens = torch.cat([tokens[:, :1], patches], 1) + self.pos_embed
        pixels: Tensor = self.predict(self.norm(self.blocks(tokens)))[:, 1:]
        return pixels


class MaskedAutoencoder(nn.Module):
    """Encoder on visible patches only, decoder on all."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = VisionTransformer(img_size=IMAGE_SIZE_PX, patch_size=PATCH_SIZE_PX, embed_dim=WIDTH,
                                         depth=LAYERS, num_heads=HEADS, num_classes=0)
        self.decoder = MaskedDecoder()

    def forward(self, images: Tensor, order: Tensor, visible_count: int) -> Tensor:
        """Return the predicted pixels (B, L, P); `order` (B, L) lists patches, visible ones first."""
        encoder = self.encoder
        patches = encoder.patch_embed(images) + encoder.pos_embed[:, 1:]
        kept = order[:, :visible_count, None].expand(-1, -1, patches.shape[-1])
        first = (encoder.cls_token + encoder.pos_embed[:, :1]).expand(len(images), -1, -1)
        tokens = torch.cat([first.to(patches.dtype), patches.gather(1, kept)], 1)
        pixels: Tensor = self.decoder(encoder.norm(encoder.blocks(tokens)), order.argsort(1))
        return pixels


def patchify(images: Tensor) -> Tensor:
    """Cut (B, 3, H, W) into (B, L, P), a patch's pixels ordered row, column, channel."""
    batch, channels, height, width = images.shape
    rows, columns = height // PATCH_SIZE_PX, width // PATCH_SIZE_PX
    cut = images.reshape(batch, channels, rows, PATCH_SIZE_PX, columns, PATCH_SIZE_PX)
    return cut.permute(0, 2, 4, 3, 5, 1).reshape(batch, rows * columns, -1)


def reconstruction_loss(predicted: Tensor, images: Tensor, hidden: Tensor) -> Tensor:
    """Return the mean squared error over hidden patches, pixels normalised patch by patch.

    Args:
        predicted: (B, L, P).
        images: (B, 3, H, W), as the network sees them.
        hidden: (B, L), True = removed from the encoder's input.
    """
    target = patchify(images)
    mean, variance = target.mean(-1, keepdim=True), target.var(-1, keepdim=True)
    error = (predicted - (target - mean) / (variance + 1e-6).sqrt()).square().mean(-1)
    return (error * hidden).sum() / hidden.sum()


def train(mixture: Mixture, work: Path, recipe: Recipe, seed: int = 0) -> Path:
    """Pretrain, resuming from ``work/masked_autoencoder.pt`` where it exists; return that file."""
    torch.manual_seed(seed)
    model = MaskedAutoencoder().to(best_device())
    training = Training(
        "masked autoencoder", model, optimisers(model, learning_rate=recipe.learning_rate, betas=(0.9, 0.95),
                                                weight_decay=recipe.weight_decay, matrices_in="blocks"),
        Schedule(total=recipe.views), work / "masked_autoencoder.pt", seed, recipe.average_decay)
    device, draw = training.device, training.generator
    run = torch.compile(model)
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
        training.update(reconstruction_loss(predicted.float(), images, hidden), len(images))
    return training.file
