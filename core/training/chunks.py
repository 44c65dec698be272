"""An effective batch larger than memory, computed in chunks with exactly its own gradient.

A loss that sees the whole batch at once (MUST's fairness, a contrastive loss) cannot be added up over
pieces. Here each chunk's activations are thrown away after its outputs are known, and computed again
when the gradient comes back through them, so memory holds one chunk while the loss sees all outputs.
It costs one more forward pass. Where the batch fits, nothing is thrown away.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.checkpoint import checkpoint

from core.training.precision import forward_precision

CPU_BUDGET_BYTES = 3 * 1024**3
CUDA_BUDGET_SHARE = 0.5
KEPT_BYTES_A_TOKEN_WIDTH = 40
"""Of a pre-norm block's activations in bfloat16, kept for the gradient, for each token and channel."""


def kept_bytes(width: int, num_blocks: int, num_tokens: int, device: torch.device) -> int:
    """Return what a transformer keeps for the gradient of one image, in bytes."""
    heads = max(1, width // 64)
    attention = 8 * heads * num_tokens**2 if device.type == "cpu" else 0  # the plain kernel keeps its matrix
    return num_blocks * (KEPT_BYTES_A_TOKEN_WIDTH * num_tokens * width + attention)


def images_at_once(each_bytes: int, device: torch.device) -> int:
    """Return how many images' activations of so many bytes fit on the device: in half of its free memory."""
    return max(8, int(_budget_bytes(device) / max(1, each_bytes)))


def measured_at_once(network: nn.Module, image_size_px: int, device: torch.device, precision: str) -> int:
    """Return the same of any network on the device, by what it keeps for the gradient of one image more."""
    def measured_bytes(count: int) -> int:
        kept: dict[int, int] = {}

        def keep(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()  # of a view, all that it keeps alive
            kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        images = torch.zeros(count, 3, image_size_px, image_size_px, device=device)
        with saved_tensors_hooks(keep, lambda tensor: tensor), forward_precision(device, precision):
            _alive = network(images)  # until the bytes are added up, or memory would be used twice
        return sum(kept.values())

    return images_at_once(measured_bytes(2) - measured_bytes(1), device)  # weights are kept once


def within(memory_share: float, fitting: int, batch_size: int) -> int:
    """Return how many images to hold at once in a run whose memory has run out before, or has not.

    Args:
        memory_share: the run's, 0 … 1 (see `core.run.Run`); at 1 what fits is taken at its word.
        fitting: how many were thought to fit.
        batch_size: of a step; less than this must be held for a smaller share to save anything.
    """
    if memory_share == 1:
        return fitting
    return max(1, int(min(fitting, batch_size) * memory_share))


def _budget_bytes(device: torch.device) -> float:
    """Return how much memory activations may take."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] * CUDA_BUDGET_SHARE
    return float(CPU_BUDGET_BYTES)


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
