"""MAE-CT's settings under a name: the columns of the paper's Tables 7 and 8, and ours. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping

from core.presets.preset import FEW_IMAGES, SMALL_COLLECTION_VIEWS, Preset
from core.settings import Value

PAPER = "Lehner et al., 2023, arXiv:2304.10520, Tables 7 and 8"
COST = "unmeasured here"

# Tables 7 (min) and 8 (aug), a row a model, in the paper's order of rows: epochs, batch size, frozen layers, head
# lr, temperature τ, k, projector EMA. What all share is in `_maect`.
_TABLES_7_AND_8: Mapping[str, tuple[int, int, int, float, float, int, float]] = {
    "min-b": (20, 1024, 6, 1e-4, 0.15, 20, 0.99),
    "min-l": (20, 1024, 12, 1e-4, 0.2, 20, 0.99),
    "min-h": (30, 512, 16, 1e-4, 0.3, 20, 0.995),
    "aug-b": (80, 1024, 6, 5e-4, 0.15, 10, 0.99),
    "aug-l": (40, 1024, 12, 5e-4, 0.15, 10, 0.99),
    "aug-h": (40, 512, 16, 5e-4, 0.35, 30, 0.995),
}
_MAE = {"b": "mae-vit-b16", "l": "mae-vit-l16", "h": "mae-vit-h14"}
"""The tables' huge model is a ViT-H/16 of the authors' own. Published is MAE's H/14, which they tuned with the same
values (Table 14; the configs in ml-jku/MAE-CT at 6c82cb6, but that those of aug-h have k = 20 for both)."""
MEMORY_STEPS = 10_000
"""What the paper's average of the encoder, 0.9999, remembers; its own runs have 25,000 steps and more."""
_EXPECTED = {"b": "the paper: ImageNet, Tables 1 and 2", "l": "the paper: ImageNet, Tables 1 and 2",
             "h": "the paper: ImageNet, Table 14, its H/14; Tables 1 and 2 are of H/16"}


def _maect(name: str) -> Preset:
    """Return one column of the paper's Table 7 or 8."""
    epochs, batch_size, frozen, head_rate, temperature, nearest, projector_average = _TABLES_7_AND_8[name]
    augmentation, size = name.split("-")
    return Preset(
        settings={
            "backbone": _MAE[size],
            "mirror": True,  # the paper flips everywhere
            "augmentation": "crop" if augmentation == "min" else "strong",
            "smallest_crop": 0.08,  # of head preparation and tuning, in the configs at 6c82cb6; the paper does not say
            "pooling": "patches" if size == "b" else "class",
            "epochs": epochs,
            "batch_size": batch_size,
            "base_learning_rate": 1e-4,
            "head_learning_rate": head_rate,
            "weight_decay": 0.05,
            "head_weight_decay": 1e-5,
            "layer_decay": 0.65,
            "frozen_blocks": frozen,
            "temperature": temperature,
            "nearest": nearest,
            "queue_size": 65_536,
            "encoder_average": 0.9999,
            "projector_average": projector_average,
            "average_horizon_share": 0.0,
            "preparing_epochs": 20,
            "preparing_learning_rate": 1e-4,
        },
        source=PAPER, cost=COST, expected=_EXPECTED[size])


SMALL_COLLECTION = Preset(
    settings={
        "epochs": 10.0,  # `recommend` sets it so that SMALL_COLLECTION_VIEWS are seen, each twice
        "preparing_epochs": 5.0,
        "smallest_crop": 0.2,  # MAE's own; the authors' 0.08 was not tried
        "mask_ratio": 0.75,  # costs a little an epoch (Table 3), and three times as many are worth more
        "batch_size": 256,
        "base_learning_rate": 1e-3,
        "head_learning_rate": 1e-3,  # the head starts from nothing and has a hundred steps
        "preparing_learning_rate": 1e-3,
        "weight_decay": 0.05,
        "layer_decay": 0.65,
        "frozen_blocks": 3,  # half, as in the paper
        "temperature": 0.15,
        "nearest": 5,  # a class may have no more than a few dozen images
        "average_horizon_share": 0.1,  # the paper's 0.9999 is a memory of 10,000 steps: more than all there are
        "pretraining_epochs": 30.0,  # the starter knows few kinds of images; `recommend` asks it of no other model
        "pretraining_learning_rate": 7.5e-4,
    },
    source="ours, for a few thousand images and the bundled starter on two CPU cores (docs/decisions.md, 2026-11-30)",
    cost="about four minutes of a CPU core (bfloat16) at 64 px",
    expected="scikit-learn's digits, one seed: clusters right 65 %, k-means on the untuned encoder 58 %; of seven "
             "collections of photographs and drawings better than that on six (docs/results.md)")

PRESETS: Mapping[str, Preset] = {**{name: _maect(name) for name in _TABLES_7_AND_8},
                                 "small-collection": SMALL_COLLECTION}


def recommend(num_images: int, backbone: str) -> tuple[str, dict[str, Value]]:
    """Return the paper's columns for its own models and enough images, else `small-collection`.

    Where the run is short beside the average's memory, that is tied to its length: after the 195 steps of 10,000 images
    and ViT-B/16, 0.9999 would answer with an encoder that is 98 % untuned.
    """
    size = next((size for size, name in _MAE.items() if name == backbone), "")
    if size and num_images >= FEW_IMAGES:
        whole_epochs, batch_size, *_ = _TABLES_7_AND_8[f"min-{size}"]
        is_short = whole_epochs * num_images / batch_size < 2 * MEMORY_STEPS
        return f"min-{size}", {**PRESETS[f"min-{size}"], **({"average_horizon_share": 0.1} if is_short else {})}
    epochs = min(1000.0, max(1.0, SMALL_COLLECTION_VIEWS / max(1, num_images)))
    values = {**SMALL_COLLECTION, "backbone": backbone, "epochs": round(epochs, 2),
              "preparing_epochs": round(epochs / 2, 2),
              "pretraining_epochs": round(3 * epochs, 2) if backbone == "starter-mae" else 0.0}
    if size:
        values["frozen_blocks"] = PRESETS[f"min-{size}"]["frozen_blocks"]
        values["pooling"] = PRESETS[f"min-{size}"]["pooling"]
    elif backbone != "starter-mae":  # DINOv2: 12 or 24 blocks, made to be read at the class token
        values["frozen_blocks"] = 12 if backbone == "dinov2-vit-l14" else 6
        values["pooling"] = "class"
    if backbone != "starter-mae":  # large models move less a step
        values["base_learning_rate"] = values["head_learning_rate"] = values["preparing_learning_rate"] = 1e-4
    return "small-collection", values
