"""The starter files in the repository: where they lie, and their tensors to go on from."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

WEIGHTS = Path(__file__).parent / "weights"


def tensors(name: str) -> dict[str, Tensor]:
    """Return the tensors of a shipped starter in float32, by name.

    Raises:
        FileNotFoundError: when that starter is not shipped yet.
    """
    return {key: value.float() for key, value in load_file(WEIGHTS / f"{name}.safetensors").items()}
