"""Make ``import torchvision`` work beside a CPU build of torch.

The registry's torchvision wheel is a CUDA build; beside a CPU torch its compiled operators do not
load and the import dies on ``torchvision::nms``. labelfree uses none of those operators, so their
schemas are declared, once and only where they are missing. Import this module before anything
that imports torchvision (timm and open_clip do).
"""

from __future__ import annotations

import importlib.util

import torch

_SCHEMAS = ("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
            "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

_LIBRARY: torch.library.Library | None = None


def _compiled_operators_load() -> bool:
    """Tell whether torchvision's own extension registers its operators on this machine."""
    specification = importlib.util.find_spec("torchvision")
    if specification is None or specification.origin is None:
        return False
    from pathlib import Path

    for extension in Path(specification.origin).parent.glob("_C*.so"):
        try:
            torch.ops.load_library(str(extension))
        except OSError:
            return False
    return hasattr(torch.ops.torchvision, "nms")


def declare() -> None:
    """Declare the schemas of ``nms`` and ``qnms`` when the compiled operators are missing."""
    global _LIBRARY
    if _LIBRARY is not None or _compiled_operators_load():
        return
    _LIBRARY = torch.library.Library("torchvision", "DEF")
    for schema in _SCHEMAS:
        _LIBRARY.define(schema)


declare()
