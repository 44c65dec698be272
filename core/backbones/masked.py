"""A CLIP vision transformer whose patches can be hidden, with a classifier and a pixel decoder.

B images, L patches, M hidden patches of each, d width, E embedding width, K classes, p patch side.

Paper: Li, Savarese, Hoi, 2022, arXiv:2206.02967, sections 3.2 and 3.3. The transformer is
open_clip's own module, so whatever it loads can be adapted; only the way through it is ours: hidden
patches, and a last block that computes no token which nobody reads.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import core.torchvision_schemas  # noqa: F401

import torch
from open_clip.transformer import QuickGELU
from torch import Tensor, nn
from torch.nn import functional

from core.errors import ConfigError

MASK_TOKEN_DEVIATION = 0.02
QUICK_GELU = 1.702


class Seen(NamedTuple):
    """What the model makes of B images.

    Attributes:
        logits: (B, K) float32.
        embedding: (B, E) float32, the class token's, of unit length.
        local: (B, M, E) float32, the hidden patches', of unit length; M = 0 where nothing is hidden.
        recovered: (B, M, 3*p*p), the hidden patches' pixels.
    """

    logits: Tensor
    embedding: Tensor
    local: Tensor
    recovered: Tensor


class MaskedClassifier(nn.Module):
    """Vision tower + classifier, and what only training needs: mask token, patch norm, decoder.

    Attributes:
        visual: open_clip's vision transformer, adapted in place.
        classifier: (E, K); column k is class k's weight. Starts as the zero-shot matrix, and its columns
            are not normalised again.
        scale: factor of the logits, the backbone's own exp(logit_scale). The paper's 100 is CLIP's,
            at its clamp; with 100 on a model whose own is 38, nearly every image is "confident".
    """

    def __init__(self, visual: Any, classifier: Tensor, scale: float, generator: torch.Generator) -> None:
        super().__init__()
        _check(visual)
        width: int = visual.conv1.out_channels
        self.patch_px: int = visual.conv1.kernel_size[0]
        self.visual = visual
        self.classifier = nn.Parameter(classifier.detach().clone())
        self.scale = scale
        self.rows: int = visual.grid_size[0]
        self.num_blocks: int = len(visual.transformer.resblocks)
        self.mask_token = nn.Parameter(torch.empty(1, 1, width).normal_(0, MASK_TOKEN_DEVIATION, generator=generator))
        self.patch_norm = nn.LayerNorm(width)
        self.decoder = nn.Linear(width, 3 * self.patch_px**2)
        bound = width**-0.5  # torch's default for a layer of this fan-in, drawn from the run's generator
        for parameter in self.decoder.parameters():
            nn.init.uniform_(parameter, -bound, bound, generator=generator)

    def forward(self, images: Tensor, hidden: Tensor | None = None) -> Seen:
        """Look at normalised images (B, 3, H, W); `hidden` (B, L) bool, True = hidden, equally many in each."""
        tokens = self._embed(images, hidden)  # (B, 1 + L, d)
        blocks = self.visual.transformer.resblocks
        for block in blocks[:-1]:
            tokens = _block(block, tokens)
        tokens = _block(blocks[-1], tokens, _read_tokens(hidden, images))  # (B, 1 + M, d)
        with torch.autocast(images.device.type, enabled=False):
            visual = self.visual
            globally = visual.ln_post(tokens[:, 0].float()) @ visual.proj  # h(z^c), section 3.3
            embedding = functional.normalize(globally, dim=-1)
            logits = self.scale * embedding @ self.classifier
        locally = self.patch_norm(tokens[:, 1:])
        with torch.autocast(images.device.type, enabled=False):
            # h(z^m): the same projection; the layer norm before it is the patches' own, as in the authors' code
            local = functional.normalize(locally.float() @ visual.proj, dim=-1)
        return Seen(logits, embedding, local, self.decoder(locally))

    def _embed(self, images: Tensor, hidden: Tensor | None) -> Tensor:
        """Return the tokens before the first block, hidden patches replaced by the mask token."""
        visual = self.visual
        patches = visual.conv1(images).flatten(2).transpose(1, 2)  # (B, d, H/p, W/p) -> (B, L, d)
        if hidden is not None:
            patches = torch.where(hidden.unsqueeze(2), self.mask_token.to(patches.dtype), patches)
        first = visual.class_embedding.to(patches.dtype).expand(len(patches), 1, -1)
        tokens = torch.cat([first, patches], dim=1) + visual.positional_embedding.to(patches.dtype)
        embedded: Tensor = visual.ln_pre(tokens)
        return embedded

    def layer_of(self, name: str) -> int:
        """Return a parameter's layer for layer-wise decay: 0 embeddings and ln_pre, i + 1 block i, then the rest."""
        if name.startswith("visual.transformer.resblocks."):
            return int(name.split(".")[3]) + 1
        first = ("mask_token", "visual.conv1", "visual.class_embedding", "visual.positional_embedding", "visual.ln_pre")
        return 0 if name.startswith(first) else self.num_blocks + 1


def _check(visual: Any) -> None:
    """Refuse a tower that is not a plain pre-norm CLIP transformer."""
    blocks = getattr(getattr(visual, "transformer", None), "resblocks", None)
    plain = (blocks is not None and visual.attn_pool is None and visual.pool_type == "tok"
             and all(isinstance(block.attn, nn.MultiheadAttention) and isinstance(block.ls_1, nn.Identity)
                     for block in blocks))
    if not plain:
        raise ConfigError("backbone", "MUST hides patches, so it needs a CLIP vision transformer (ViT), "
                          "such as starter-clip or clip-vit-b16")


def _read_tokens(hidden: Tensor | None, images: Tensor) -> Tensor:
    """Return which tokens are read after the last block, (B, 1 + M): the class token and the hidden patches."""
    first = torch.zeros(len(images), 1, dtype=torch.long, device=images.device)
    if hidden is None:
        return first
    places = hidden.nonzero()[:, 1].reshape(len(images), -1) + 1  # (B, M); token 0 is the class token
    return torch.cat([first, places], dim=1)


def _block(block: Any, tokens: Tensor, read: Tensor | None = None) -> Tensor:
    """Run one pre-norm block on (B, T, d); with `read` (B, R) only those tokens ask, and only they return.

    What they become does not change by it: a token's answer depends on every token's key and value,
    and on no other token's answer.
    """
    attention, normed = block.attn, block.ln_1(tokens)
    weight, bias = attention.in_proj_weight, attention.in_proj_bias
    if read is None:
        query, key, value = _heads(functional.linear(normed, weight, bias), 3, attention.num_heads)
    else:
        width = tokens.shape[2]
        index = read.unsqueeze(2).expand(-1, -1, width)
        asking, tokens = normed.gather(1, index), tokens.gather(1, index)  # (B, T, d) -> (B, R, d)
        (query,) = _heads(functional.linear(asking, weight[:width], bias[:width]), 1, attention.num_heads)
        key, value = _heads(functional.linear(normed, weight[width:], bias[width:]), 2, attention.num_heads)
    mixed = _attend(query, key, value)  # (B, heads, R, d/heads)
    tokens = tokens + attention.out_proj(mixed.transpose(1, 2).flatten(2))
    result: Tensor = tokens + _mix_channels(block.mlp, block.ln_2(tokens))
    return result


def _attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Return scaled dot-product attention of (B, heads, T, d/heads).

    Written out for CPUs: torch's plain kernel scales both sides and looks for rows of nothing but -inf,
    its flash kernel's backward is slow at 65 tokens.
    """
    if query.device.type != "cpu":
        return functional.scaled_dot_product_attention(query, key, value)
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1)
    mixed: Tensor = scores.softmax(dim=-1, dtype=torch.float32).to(value.dtype) @ value
    return mixed


def _mix_channels(mlp: Any, tokens: Tensor) -> Tensor:
    """Run a block's two-layer perceptron.

    QuickGELU, x * sigmoid(a x), is silu(a x) / a: with the factors moved into the two weights it is one
    pass over the widest activations instead of three.
    """
    if not isinstance(mlp.gelu, QuickGELU):
        mixed: Tensor = mlp(tokens)
        return mixed
    wide = functional.linear(tokens, QUICK_GELU * mlp.c_fc.weight, QUICK_GELU * mlp.c_fc.bias)
    folded: Tensor = functional.linear(functional.silu(wide), mlp.c_proj.weight / QUICK_GELU, mlp.c_proj.bias)
    return folded


def _heads(projected: Tensor, parts: int, heads: int) -> tuple[Tensor, ...]:
    """Split (B, T, parts*d) into `parts` tensors (B, heads, T, d/heads)."""
    batch, count, width = projected.shape
    return projected.reshape(batch, count, parts, heads, width // parts // heads).permute(2, 0, 3, 1, 4).unbind(0)
