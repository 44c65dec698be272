"""What the forward pass is computed in: bfloat16 where the device has it, and which attention on a CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel


def has_bfloat16(device: torch.device) -> bool:
    """Tell whether bfloat16 is computed by the hardware, not imitated (AMX or AVX512-BF16 on a CPU)."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        able = torch.cpu.get_capabilities()
        return bool(able.get("amx_bf16") or able.get("avx512_bf16"))
    return False


@contextmanager
def forward_precision(device: torch.device, precision: str = "auto") -> Iterator[None]:
    """Compute matrix products in `precision` ("auto", "float32", "bfloat16") inside this context.

    Float16 is not offered: the MAE-CT authors saw it overflow in attention. On a CPU the plain
    attention is chosen: the flash kernel's backward is slow at 65 tokens.
    """
    with ExitStack() as stack:
        if precision == "bfloat16" or (precision == "auto" and has_bfloat16(device)):
            stack.enter_context(torch.autocast(device.type, torch.bfloat16))
        if device.type == "cpu":
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        yield
