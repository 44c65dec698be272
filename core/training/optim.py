"""Learning rates, and which parameter gets how much of them and of weight decay.

Layer-wise decay as in BEiT (Bao et al., 2021, arXiv:2106.08254) and MUST (Li et al., 2022,
arXiv:2206.02967, section 3.4): earlier layers learn slower, by a constant factor a layer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn


def scaled_rate(base_rate: float, batch_size: int, views: int = 1) -> float:
    """Return the learning rate of a batch from that of 256 images (linear scaling rule)."""
    return base_rate * batch_size * views / 256


def cosine(step: int, steps: int, peak: float, floor: float, warm_up_steps: int = 0) -> float:
    """Return the rate of `step` in 0 … steps - 1: a linear rise, then half a cosine down to `floor`."""
    if step < warm_up_steps:
        return peak * step / warm_up_steps
    done = (step - warm_up_steps) / max(1, steps - warm_up_steps)
    return floor + (peak - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def parameter_groups(
    parameters: Iterable[tuple[str, nn.Parameter]], *, weight_decay: float,
    layer_of: Callable[[str], int] = lambda _name: 0, last_layer: int = 0, layer_decay: float = 1.0,
) -> list[dict[str, Any]]:
    """Group trainable parameters by what they share: rate scale and weight decay.

    Args:
        parameters: named parameters; frozen ones are left out.
        weight_decay: for matrices, position embeddings and timm's class token; 1-D parameters (biases, norms) get none.
        layer_of: a parameter's layer, from 0 (embeddings) to `last_layer` (head).
        last_layer: the layer whose scale is 1.
        layer_decay: the scale of layer i is ``layer_decay ** (last_layer - i)``.

    Returns:
        Optimiser groups with "params", "weight_decay", "scale" (of the learning rate) and "names".
    """
    groups: dict[tuple[float, float], dict[str, Any]] = {}
    for name, parameter in parameters:
        if not parameter.requires_grad:
            continue
        scale = layer_decay ** (last_layer - layer_of(name))
        decay = 0.0 if parameter.ndim <= 1 else weight_decay
        group = groups.setdefault((scale, decay), {"params": [], "names": [], "scale": scale, "weight_decay": decay})
        group["params"].append(parameter)
        group["names"].append(name)
    return list(groups.values())


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Give every group its own share ("scale") of the learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group.get("scale", 1.0)
