"""An effective batch larger than memory, computed in chunks with exactly its own gradient.

A loss that sees the whole batch at once (MUST's fairness, a contrastive loss) cannot be added up over
pieces. Here each chunk's activations are thrown away after its outputs are known, and computed again
when the gradient comes back through them, so memory holds one chunk while the loss sees all outputs.
It costs one more forward pass. Where the batch fits, nothing is thrown away.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

CPU_BUDGET_BYTES = 3 * 1024**3
CUDA_BUDGET_SHARE = 0.5
KEPT_BYTES_A_TOKEN_WIDTH = 40
"""Of a pre-norm block's activations in bfloat16, kept for the gradient, for each token and channel."""


def images_at_once(width: int, num_blocks: int, num_tokens: int, device: torch.device) -> int:
    """Return how many images' activations a transformer can keep on the device: half of its free memory."""
    budget = float(CPU_BUDGET_BYTES)
    if device.type == "cuda":
        budget = torch.cuda.mem_get_info(device)[0] * CUDA_BUDGET_SHARE
    heads = max(1, width // 64)
    attention = 8 * heads * num_tokens**2 if device.type == "cpu" else 0  # the plain kernel keeps its matrix
    each = num_blocks * (KEPT_BYTES_A_TOKEN_WIDTH * num_tokens * width + attention)
    return max(8, int(budget / each))


def in_chunks(
    function: Callable[..., tuple[Tensor, ...]], tensors: tuple[Tensor, ...], chunk_size: int,
    between: Callable[[], None] = lambda: None,
) -> tuple[Tensor, ...]:
    """Return ``function(*tensors)``, computed `chunk_size` rows at a time.

    Args:
        function: of tensors with the batch first, row by row independent and free of randomness.
        tensors: its arguments, B rows each.
        chunk_size: rows held at once.
        between: called before every chunk, on the way forth and back; may raise to stop.
    """
    if len(tensors[0]) <= chunk_size:
        between()
        return function(*tensors)

    def one(*pieces: Tensor) -> tuple[Tensor, ...]:
        between()
        return function(*pieces)

    parts = [
        checkpoint(one, *pieces, use_reentrant=False, preserve_rng_state=False) if torch.is_grad_enabled()
        else one(*pieces)
        for pieces in zip(*(torch.split(tensor, chunk_size) for tensor in tensors), strict=True)
    ]
    return tuple(torch.cat(column) for column in zip(*parts, strict=True))
