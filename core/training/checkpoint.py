"""Checkpoints of a run: written whole or not at all, read with safetensors, never unpickled."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from core.errors import CheckpointError

FORMAT_VERSION = 1
"""1: tensors by name; the file's metadata entry "labelfree" is JSON of version, step and values."""

_METADATA_KEY = "labelfree"
_MEGABYTE = 1024 * 1024


class Checkpoints:
    """The checkpoint of one run, kept in its folder.

    There is at most one: a new one takes the old one's place by a rename, so that a process killed
    at any moment, and a disk that fills, leave the previous one as it was.

    Attributes:
        is_wanted: set by whoever is about to stop the run, so that the next step is saved and nothing is
            done twice; falls with every checkpoint.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.is_wanted = False
        self.path = folder / "checkpoint.safetensors"

    def save(self, state: Mapping[str, object], step: int) -> None:
        """Write `state` (tensors and JSON-able values by name) as the checkpoint of `step`.

        Raises:
            CheckpointError: when it cannot be written, naming the file, the space left and the fix;
                the previous checkpoint is intact and nothing half-written is left.
        """
        tensors = {name: value.detach().cpu().contiguous()
                   for name, value in state.items() if isinstance(value, torch.Tensor)}
        values = {name: value for name, value in state.items() if name not in tensors}
        header = json.dumps({"version": FORMAT_VERSION, "step": step, "values": values})
        part = self.path.with_name(self.path.name + ".part")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            save_file(tensors, part, metadata={_METADATA_KEY: header})
            _flush_to_disk(part)
            part.replace(self.path)
            _flush_to_disk(self.folder)
        except (OSError, SafetensorError) as error:
            part.unlink(missing_ok=True)
            raise CheckpointError(str(self.path), self._why_not_written(tensors, error),
                                  retryable=True) from error
        self.is_wanted = False

    def load(self) -> dict[str, Any] | None:
        """Return the saved state with its "step" (CPU tensors), or None where nothing was saved.

        Raises:
            CheckpointError: when the file is damaged or of another version.
        """
        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, framework="pt", device="cpu") as file:
                header = json.loads((file.metadata() or {}).get(_METADATA_KEY, "{}"))
                version = header.get("version")
                if version != FORMAT_VERSION:
                    raise CheckpointError(
                        str(self.path), f"a checkpoint of format {version}, while this labelfree reads format "
                        f"{FORMAT_VERSION}: finish the run with the version that began it, or delete the file "
                        "and start again")
                state: dict[str, Any] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError, json.JSONDecodeError) as error:
            raise CheckpointError(str(self.path), f"cannot be read ({error}): delete it to start again") from error
        state |= header["values"] | {"step": header["step"]}
        return state

    def clear(self) -> None:
        """Delete the checkpoint, once the run's result is safe elsewhere."""
        self.path.unlink(missing_ok=True)

    def _why_not_written(self, tensors: Mapping[str, torch.Tensor], error: Exception) -> str:
        """Say what failed, how much space there is and is needed, and what to do."""
        needed = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
        place = self.folder if self.folder.is_dir() else Path.cwd()
        free = shutil.disk_usage(place).free
        kept = "the previous checkpoint is intact" if self.path.exists() else "no earlier checkpoint exists"
        return (f"could not be written ({error}); it needs {needed / _MEGABYTE:.0f} MB and {place} has "
                f"{free / _MEGABYTE:.0f} MB free: free some space, then resume the run; {kept}")


def _flush_to_disk(path: Path) -> None:
    """Return once the system has written the file (or a folder's entries) to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
