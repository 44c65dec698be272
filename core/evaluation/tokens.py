"""The class token on its way through a vision transformer, and what it looks at in the last block.

B images, T tokens (the class token first), L patches, d width, G layers.

GradCAM of attention: Selvaraju et al., 2017, arXiv:1610.02391, applied to the self-attention of the class
token in the last block as in Li, Savarese, Hoi, 2022, arXiv:2206.02967, Figure 3.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from core.classifier import Member
from core.data.views import normalise
from core.errors import ConfigError
from core.evaluation.evidence import Backbone


def blocks_of(backbone: Backbone) -> list[Any]:
    """Return the blocks of a vision transformer with a class token.

    Raises:
        ConfigError: for another network.
    """
    visual: Any = backbone.visual
    if hasattr(visual, "blocks") and visual.num_prefix_tokens > 0:  # timm
        return list(visual.blocks)
    if hasattr(visual, "transformer"):  # open_clip
        return list(visual.transformer.resblocks)
    raise ConfigError("backbone", f"{backbone.name} has no class token: this is measured in vision transformers, "
                                  "such as starter-clip, starter-mae or clip-vit-b16")


@torch.no_grad()
def class_tokens(backbone: Backbone, images: Tensor) -> Tensor:
    """Return the class token after each block, (G, B, d), of images (B, 3, H, W) in [0, 1]."""
    found: list[Tensor] = []
    hooks = [block.register_forward_hook(lambda _block, _inputs, tokens: found.append(tokens[:, 0].float()))
             for block in blocks_of(backbone)]
    try:
        backbone(normalise(images, backbone.mean, backbone.std))
    finally:
        for hook in hooks:
            hook.remove()
    return torch.stack(found)


def gradcam(member: Member, images: Tensor, classes: Tensor) -> Tensor:
    """Return how much the class token's look at each patch speaks for a class, (B, rows, columns) in 0 … 1.

    Attention of the class token to the patches in the last block, times the positive part of the logit's
    gradient by it, mean over heads; the most telling patch of each image is 1.

    Args:
        member: its backbone is a vision transformer that answers from the class token.
        images: (B, 3, H, W) in [0, 1], of the side that it sees.
        classes: (B,), the class to explain of each.

    Raises:
        ConfigError: for another network, or one that answers from the patches.
    """
    with _attention(blocks_of(member.backbone)[-1].attn) as maps, torch.enable_grad():
        logits = member.logits(images)
        (weights,) = maps
        (gradient,) = torch.autograd.grad(logits.gather(1, classes[:, None]).sum(), weights)  # (B, heads, T, T)
    heat = (weights.detach() * gradient.clamp_min(0)).mean(dim=1)[:, 0]  # (B, T)
    if not gradient[:, :, 0].any():
        raise ConfigError("backbone", f"{member.backbone.name} answers from its patches; the class token has no part "
                                      "in it, so there is nothing to explain by it")
    visual: Any = member.backbone.visual
    rows, columns = visual.grid_size if hasattr(visual, "grid_size") else visual.patch_embed.grid_size
    heat = heat[:, -rows * columns:]
    strongest = heat.amax(dim=1, keepdim=True).clamp_min(torch.finfo(heat.dtype).tiny)
    scaled: Tensor = (heat / strongest).unflatten(1, (rows, columns))
    return scaled


@contextmanager
def _attention(module: nn.Module) -> Iterator[list[Tensor]]:
    """Let a block's attention be written out, and keep its weights (B, heads, T, T), whose gradient can be asked."""
    kept: list[Tensor] = []

    def written_out(attention: Any, inputs: tuple[Tensor, ...], output: Any) -> Any:
        tokens = inputs[0]
        if isinstance(attention, nn.MultiheadAttention):  # open_clip, batch first
            query, key, value = _heads(nn.functional.linear(tokens, attention.in_proj_weight, attention.in_proj_bias),
                                       attention.num_heads)
        else:  # timm
            query, key, value = _heads(attention.qkv(tokens), attention.num_heads)
            query, key = attention.q_norm(query), attention.k_norm(key)
        weights = (query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5).softmax(dim=-1)
        kept.append(weights.detach().requires_grad_())
        mixed = (kept[-1] @ value).transpose(1, 2).flatten(2)  # (B, T, d)
        if isinstance(attention, nn.MultiheadAttention):
            return attention.out_proj(mixed), None
        return attention.proj(attention.norm(mixed))

    hook = module.register_forward_hook(written_out)
    try:
        yield kept
    finally:
        hook.remove()


def _heads(projected: Tensor, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """Split (B, T, 3 d) into three of (B, heads, T, d / heads)."""
    query, key, value = projected.unflatten(2, (3, heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
    return query, key, value
