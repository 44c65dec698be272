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
