"""A timm vision transformer that may be shown a part of the patches, and MAE's decoder for it.

B images, L patches, V visible ones of each, D encoder width, P values of a patch (row, column, channel).

Paper: He et al., 2022, "Masked autoencoders are scalable vision learners", arXiv:2111.06377. The encoder is
timm's own module, so whatever it loads can be tuned; only the way through it is ours.
"""

from __future__ import annotations

from typing import Any

import core.torchvision_schemas  # noqa: F401

import torch
from safetensors.torch import load_file
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from core.backbones import weights
from core.errors import ConfigError, WeightsUnavailable

DECODER_PREFIX = "decoder."
PAPER_WIDTH, PAPER_DEPTH, PAPER_HEADS = 512, 8, 16
"""The paper's decoder, for encoders that come without theirs (timm publishes no decoder)."""
NARROW = 384
"""Encoders narrower than ViT-S get a new decoder of half their width and two blocks, as starter-mae's own."""


class MaskedDecoder(nn.Module):
    """The light decoder: mask tokens stand for hidden patches, a linear layer gives their pixels."""

    def __init__(self, *, encoder_width: int, patches: int, patch_px: int, width: int, depth: int, heads: int) -> None:
        super().__init__()
        self.embed = nn.Linear(encoder_width, width)
        self.mask_token = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.pos_embed = nn.Parameter(torch.randn(1, patches + 1, width) * 0.02)
        self.blocks = nn.Sequential(*(Block(width, heads, qkv_bias=True) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.predict = nn.Linear(width, 3 * patch_px**2)

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
    """Encoder on visible patches only, decoder on all.

    Attributes:
        encoder: timm's vision transformer, trained in place.
        decoder: see `MaskedDecoder`.
    """

    def __init__(self, encoder: Any, decoder: MaskedDecoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def forward(self, images: Tensor, order: Tensor, visible_count: int) -> Tensor:
        """Return the predicted pixels (B, L, P); `order` (B, L) lists patches, visible ones first."""
        return self.pixels(encode(self.encoder, images, order[:, :visible_count]), order)

    def pixels(self, visible: Tensor, order: Tensor) -> Tensor:
        """Return the predicted pixels (B, L, P) from the encoder's tokens (B, 1 + V, D)."""
        found: Tensor = self.decoder(visible, order.argsort(1))
        return found


def encode(encoder: Any, images: Tensor, visible: Tensor | None = None) -> Tensor:
    """Return the encoder's normed tokens, (B, 1 + V, D), of normalised images (B, 3, H, W).

    Args:
        encoder: as `check` wants it.
        images: all of equal side.
        visible: (B, V) which patches it is shown; all when None.
    """
    patches = encoder.patch_embed(images) + encoder.pos_embed[:, 1:]  # (B, L, D)
    if visible is not None:
        patches = patches.gather(1, visible[..., None].expand(-1, -1, patches.shape[-1]))  # (B, V, D)
    first = (encoder.cls_token + encoder.pos_embed[:, :1]).expand(len(images), -1, -1)
    tokens = encoder.norm_pre(torch.cat([first.to(patches.dtype), patches], 1))
    normed: Tensor = encoder.norm(encoder.blocks(tokens))
    return normed


def pool(tokens: Tensor, pooling: str) -> Tensor:
    """Return features (B, D) of tokens (B, 1 + V, D): "patches", their mean, or "class", the class token."""
    return tokens[:, 1:].mean(dim=1) if pooling == "patches" else tokens[:, 0]


def check(name: str, encoder: Any) -> None:
    """Refuse what is no plain vision transformer with one class token.

    Raises:
        ConfigError: naming what would do.
    """
    blocks = getattr(encoder, "blocks", None)
    plain = blocks is not None and encoder.num_prefix_tokens == 1 and not encoder.no_embed_class
    if not plain:
        raise ConfigError("backbone", f"{name} is no plain vision transformer with a class token; choose one that is, "
                          "such as starter-mae or mae-vit-b16")


def layer_of(name: str, num_blocks: int) -> int:
    """Return an encoder parameter's layer for layer-wise decay: 0 embeddings, i + 1 block i, then the rest."""
    if name.startswith("blocks."):
        return int(name.split(".")[1]) + 1
    return 0 if name.startswith(("patch_embed", "pos_embed", "cls_token", "norm_pre")) else num_blocks + 1


def freeze(encoder: Any, blocks: int) -> None:
    """Let only what comes after the first so many blocks learn; with 0, everything does.

    Position embeddings too, and a new decoder's: the paper's are fixed sines and cosines, timm's are parameters.
    """
    for name, parameter in encoder.named_parameters():
        parameter.requires_grad_(blocks == 0 or layer_of(name, len(encoder.blocks)) > blocks)


def has_decoder(name: str) -> bool:
    """Tell whether the encoder of that name came with its decoder."""
    return bool(_published_decoder(name))


def load_decoder(name: str, encoder: Any, seed: int, *, new: bool = False) -> MaskedDecoder:
    """Return the decoder that came with the encoder, else (or where `new`) one as light, drawn from `seed`."""
    patch_px, patches, width = encoder.patch_embed.patch_size[0], encoder.patch_embed.num_patches, encoder.embed_dim
    kept = {} if new else _published_decoder(name)
    sizes = (PAPER_WIDTH, PAPER_DEPTH, PAPER_HEADS) if width >= NARROW else (width // 2, 2, max(1, width // 64))
    if "embed.weight" in kept:
        inner = kept["embed.weight"].shape[0]
        sizes = inner, len({key.split(".")[1] for key in kept if key.startswith("blocks.")}), max(1, inner // 32)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        decoder = MaskedDecoder(encoder_width=width, patches=patches, patch_px=patch_px, width=sizes[0],
                                depth=sizes[1], heads=sizes[2])
    if "embed.weight" in kept:
        decoder.load_state_dict(kept)
    return decoder


def _published_decoder(name: str) -> dict[str, Tensor]:
    """Return the weights of the decoder beside the encoder's own, {} where there is none."""
    try:
        file = weights.locate(name)
    except WeightsUnavailable:  # an adapted encoder is tuned without them, and what the hub has is no decoder
        return {}
    return {key.removeprefix(DECODER_PREFIX): value.float() for key, value in load_file(file).items()
            if key.startswith(DECODER_PREFIX)}
