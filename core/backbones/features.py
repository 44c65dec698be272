"""Frozen features of a whole collection, computed once and kept on disk.

Shapes: N images, D features.
"""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from core.backbones.clip import ClipBackbone
from core.backbones.vit import TimmBackbone
from core.data.batches import batches
from core.data.images import ImageSet
from core.data.views import PREPROCESSING_VERSION, EvaluationView, normalise
from core.run import Progress, Run
from core.training.chunks import within

CACHE_VARIABLE = "LABELFREE_CACHE"


def fingerprint(module: nn.Module) -> str:
    """Return a digest of every weight: an adapted backbone has features of its own."""
    digest = hashlib.blake2b(digest_size=16)
    for key, value in sorted(module.state_dict().items()):
        digest.update(key.encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


@torch.no_grad()
def features(backbone: ClipBackbone | TimmBackbone, images: ImageSet, run: Run, *, stage: str = "reading images",
             first_step: int = 0, total_steps: int | None = None, batch_size: int = 256,
             cache: Path | None = None) -> Tensor:
    """Return the backbone's features of every image in order, (N, D) float32 on the CPU, as it gives them.

    Always float32 and evaluation mode: what is exported must answer the same.

    Args:
        backbone: moved to the run's device, and left there.
        images: N.
        run: told of progress, one step an image.
        stage: what it is told.
        first_step: the run's step at which this begins.
        total_steps: of the whole run; N alone when None.
        batch_size: images at once.
        cache: folder of kept features; when None the one that LABELFREE_CACHE names, shared by all runs,
            else ``run.folder / "features"``.

    Raises:
        Cancelled: when the person asked to stop.
        DataError: when a file has gone or changed.
    """
    folder = cache or _shared_cache() or run.folder / "features"
    file = folder / f"{backbone.name}-{_key(backbone, images)}.safetensors"
    total = len(images) if total_steps is None else total_steps
    if (kept := _read(file, len(images))) is not None:
        run.report(Progress(stage=stage, step=first_step + len(images), total=total))
        return kept
    backbone.to(run.device).eval()
    view = EvaluationView(backbone.image_size_px)
    parts: list[Tensor] = []
    done, began = 0, time.monotonic()
    at_once = within(run.memory_share, batch_size, batch_size)
    for _, (pixels,) in batches(images, (view,), range(len(images)), at_once, seed=0):
        parts.append(backbone(normalise(pixels.to(run.device), backbone.mean, backbone.std)).float().cpu())
        done += len(pixels)
        rate = done / max(time.monotonic() - began, 1e-9)
        run.report(Progress(stage=stage, step=first_step + done, total=total, images_per_second=rate))
    found = torch.cat(parts)
    _write(file, found)
    return found


def _shared_cache() -> Path | None:
    given = os.environ.get(CACHE_VARIABLE)
    return Path(given) if given else None


def _key(backbone: ClipBackbone | TimmBackbone, images: ImageSet) -> str:
    """Return what the features depend on, as a file name."""
    said = f"{backbone.name} {fingerprint(backbone.visual)} {images.fingerprint} {PREPROCESSING_VERSION}"
    return hashlib.blake2b(said.encode(), digest_size=16).hexdigest()


def _read(file: Path, count: int) -> Tensor | None:
    """Return kept features, or None where there are none or they are damaged."""
    try:
        found = load_file(file)["features"]
    except (OSError, SafetensorError, KeyError):
        return None
    return found if len(found) == count else None


def _write(file: Path, found: Tensor) -> None:
    """Keep features for the next run; where they do not fit on the disk, that one finds them again."""
    part = file.with_suffix(f".{os.getpid()}.part")  # two workers may make the same features at once
    with suppress(OSError, SafetensorError):
        file.parent.mkdir(parents=True, exist_ok=True)
        save_file({"features": found.contiguous()}, part)
        part.replace(file)
    with suppress(OSError):
        part.unlink(missing_ok=True)
