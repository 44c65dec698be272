"""Pretrain starter-mae, a timm ViT with its decoder, by masked autoencoding.

He et al., 2022, "Masked autoencoders are scalable vision learners", arXiv:2111.06377.

Shapes: B images, L patches, V visible patches, D encoder width, P pixels of a patch (8 * 8 * 3,
ordered row, column, channel).
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from timm.models.vision_transformer import Block, VisionTransformer
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from core.starter import augmentation
from core.starter.image_tower import HEADS, LAYERS, PATCH_SIZE_PX, WIDTH, learning_rate_factor, normalise
from core.starter.image_tower import Recipe as Schedule
from core.starter.mixture import IMAGE_SIZE_PX, Mixture

log = logging.getLogger(__name__)

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

    def forward(self, visible: torch.Tensor, restore: torch.Tensor) -> torch.Tensor:
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
        return self.predict(self.norm(self.blocks(tokens)))[:, 1:]


class MaskedAutoencoder(nn.Module):
    """Encoder on visible patches only, decoder on all."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = VisionTransformer(img_size=IMAGE_SIZE_PX, patch_size=PATCH_SIZE_PX, embed_dim=WIDTH,
                                         depth=LAYERS, num_heads=HEADS, num_classes=0)
        self.decoder = MaskedDecoder()

    def forward(self, images: torch.Tensor, order: torch.Tensor, visible_count: int) -> torch.Tensor:
        """Return the predicted pixels (B, L, P); `order` (B, L) lists patches, visible ones first."""
        encoder = self.encoder
        patches = encoder.patch_embed(images) + encoder.pos_embed[:, 1:]
        kept = order[:, :visible_count, None].expand(-1, -1, patches.shape[-1])
        first = (encoder.cls_token + encoder.pos_embed[:, :1]).expand(len(images), -1, -1)
        tokens = torch.cat([first.to(patches.dtype), patches.gather(1, kept)], 1)
        return self.decoder(encoder.norm(encoder.blocks(tokens)), order.argsort(1))


def patchify(images: torch.Tensor) -> torch.Tensor:
    """Cut (B, 3, H, W) into (B, L, P), a patch's pixels ordered row, column, channel."""
    batch, channels, height, width = images.shape
    rows, columns = height // PATCH_SIZE_PX, width // PATCH_SIZE_PX
    cut = images.reshape(batch, channels, rows, PATCH_SIZE_PX, columns, PATCH_SIZE_PX)
    return cut.permute(0, 2, 4, 3, 5, 1).reshape(batch, rows * columns, -1)


def reconstruction_loss(predicted: torch.Tensor, images: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
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
    generator = torch.Generator().manual_seed(seed)
    model = MaskedAutoencoder()
    matrices = [p for name, p in model.named_parameters() if "blocks" in name and p.ndim == 2]
    chosen = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    steppers = [torch.optim.Muon(matrices, lr=recipe.learning_rate, weight_decay=recipe.weight_decay,
                                 adjust_lr_fn="match_rms_adamw"),
                torch.optim.AdamW(rest, lr=recipe.learning_rate / 2, betas=(0.9, 0.95), weight_decay=0.0)]
    rates = [group["lr"] for stepper in steppers for group in stepper.param_groups]
    average = {name: value.clone() for name, value in model.state_dict().items()}
    file, step, views = work / "masked_autoencoder.pt", 0, 0
    if file.exists():
        kept = torch.load(file, weights_only=True)
        model.load_state_dict(kept["model"])
        average = kept["average"]
        for stepper, state in zip(steppers, kept["optimisers"], strict=True):
            stepper.load_state_dict(state)
        generator.set_state(kept["generator"])
        step, views = kept["step"], kept["views"]
        log.info("resumed at step %d, %d views", step, views)
    run = torch.compile(model)

    def save() -> None:
        torch.save({"model": model.state_dict(), "average": average, "step": step, "views": views,
                    "optimisers": [stepper.state_dict() for stepper in steppers],
                    "generator": generator.get_state()}, file.with_suffix(".part"))
        file.with_suffix(".part").rename(file)

    patches = (IMAGE_SIZE_PX // PATCH_SIZE_PX) ** 2
    visible_count = round(patches * (1 - recipe.mask_ratio))
    digit_source = mixture.sources.index("mnist")
    count = len(mixture.train)
    schedule = Schedule(views=recipe.views)
    began = saved = time.monotonic()
    began_views, running = views, 0.0
    while views < recipe.views:
        factor = learning_rate_factor(step, views / recipe.views, schedule)
        for group, rate in zip((g for stepper in steppers for g in stepper.param_groups), rates, strict=True):
            group["lr"] = rate * factor
        drawn = torch.randint(count, (recipe.batch_size,), generator=generator).sort().values.numpy()
        images = torch.from_numpy(mixture.images[drawn]).float().div_(255)
        flip = torch.from_numpy(mixture.source[drawn] != digit_source)
        images = normalise(augmentation.zoom_shift_flip(images, flip, IMAGE_SIZE_PX, generator))
        order = torch.rand(len(images), patches, generator=generator).argsort(1)
        hidden = torch.ones(len(images), patches).scatter_(1, order[:, :visible_count], 0.0)
        with torch.autocast("cpu", torch.bfloat16), sdpa_kernel(SDPBackend.MATH):
            predicted = run(images, order, visible_count)
        loss = reconstruction_loss(predicted.float(), images, hidden)
        if not torch.isfinite(loss):
            raise FloatingPointError(f"loss is {loss.item()} at step {step} of masked autoencoding")
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for stepper in steppers:
            stepper.step()
            stepper.zero_grad()
        step, views = step + 1, views + len(images)
        decay = min(recipe.average_decay, (1 + step) / (10 + step))
        with torch.no_grad():
            for name, value in model.state_dict().items():
                average[name].lerp_(value, 1 - decay)
        running = 0.98 * running + 0.02 * loss.item() if running else loss.item()
        if step % 100 == 0:
            rate = (views - began_views) / (time.monotonic() - began)
            log.info("mae step %d views %d loss %.4f rate %.4f %.0f images/s, %.0f min left",
                     step, views, running, factor, rate, (recipe.views - views) / rate / 60)
        if time.monotonic() - saved > 300:
            save()
            saved = time.monotonic()
    save()
    return file
