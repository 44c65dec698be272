"""TURTLE's settings under a name: its code's defaults, and ours. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping

from core.presets.preset import Preset
from core.settings import Value

PAPER = Preset(
    settings={"steps": 6000, "inner_steps": 10, "sample_size": 10_000, "outer_learning_rate": 1e-3,
            "inner_learning_rate": 1e-3, "warm_start": False, "entropy_weight": 10.0, "starts": 1},
    source="Gadetsky, Jiang, Brbić, ICML 2024; the defaults of mlbio-epfl/turtle at 4674efa",
    cost="unmeasured here", expected="the paper: 26 data sets, by backbone")

SMALL_COLLECTION = Preset(
    settings={**PAPER, "steps": 3000, "starts": 3},  # with one start, or 1000 steps, more depends on the seed
    source="ours, for a few thousand images on two CPU cores", cost="about three minutes on 2 CPU cores",
    expected="see docs/results.md")

PRESETS: Mapping[str, Preset] = {"paper": PAPER, "small-collection": SMALL_COLLECTION}


def recommend(num_images: int) -> tuple[str, dict[str, Value]]:
    """Choose a preset by size; see `core.presets.table.recommend`."""
    name = "small-collection" if num_images < 10_000 else "paper"
    return name, dict(PRESETS[name])
