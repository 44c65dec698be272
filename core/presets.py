"""Settings under a name: the papers' own, and ours for small collections. Standard library only.

A preset is the record of an experiment (`core.preset`). Those of unsupervised finetuning are in
`core.finetune_presets`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from core import finetune_presets
from core.catalog import BACKBONES, VIT_BACKBONES
from core.preset import FEW_IMAGES, SMALL_COLLECTION_VIEWS, Preset
from core.settings import Value

MUST_PAPER = "Li, Savarese, Hoi, 2022, arXiv:2206.02967, Table 10"
MUST_COST = "unmeasured here; the paper used 16 A100 GPUs"

# Table 10, a row a data set and model, in the paper's order of rows: base lr, epochs, threshold τ, mask
# ratio, mask patch size, λ_align, λ_reg, EMA init. μ_0, EMA iterations μ_n; then zero-shot CLIP's and
# MUST's accuracy (%) from Tables 2 and 4. λ_reg, μ_0 and μ_n are given once for both models.
_TABLE_10: Mapping[str, tuple[float, float, float, float, int, float, float, float, int, float, float]] = {
    "imagenet-b":   (2e-5, 30, 0.7, 0.3, 32, 0.2, 1.0, 0.999, 2000, 68.3, 77.7),
    "imagenet-l":   (4e-5, 20, 0.5, 0.3, 56, 0.5, 1.0, 0.999, 2000, 75.5, 82.1),
    "sun397-b":     (1e-4, 20, 0.4, 0.1, 32, 1.0, 0.2, 0.99, 500, 64.4, 73.1),
    "sun397-l":     (2e-4, 20, 0.3, 0.1, 28, 0.5, 0.2, 0.99, 500, 67.4, 75.6),  # released config: mask ratio 0.2
    "food101-b":    (2e-5, 40, 0.7, 0.1, 32, 0.1, 1.0, 0.999, 2000, 88.7, 92.7),
    "food101-l":    (4e-5, 40, 0.7, 0.1, 56, 0.5, 1.0, 0.999, 2000, 92.9, 95.3),  # released config: λ_align 0.1
    "gtsrb-b":      (2e-5, 20, 0.3, 0.5, 32, 0.5, 1.0, 0.99, 500, 43.4, 65.5),
    "gtsrb-l":      (4e-5, 20, 0.2, 0.3, 56, 0.5, 1.0, 0.99, 500, 50.6, 68.7),
    "dtd-b":        (2e-5, 60, 0.4, 0.1, 32, 0.2, 1.0, 0.99, 100, 44.7, 54.1),
    "dtd-l":        (4e-5, 60, 0.5, 0.1, 56, 0.5, 1.0, 0.99, 100, 55.4, 62.6),
    "ucf101-b":     (1e-5, 60, 0.5, 0.1, 16, 0.5, 1.0, 0.99, 500, 68.8, 81.1),
    "ucf101-l":     (2e-5, 60, 0.6, 0.1, 14, 0.5, 1.0, 0.99, 500, 77.0, 85.7),
    "pets-b":       (1e-5, 60, 0.7, 0.1, 32, 0.1, 1.0, 0.99, 100, 88.9, 93.1),  # released config: λ_align 0.2
    "caltech101-b": (1e-5, 60, 0.7, 0.1, 32, 0.1, 1.0, 0.99, 100, 89.8, 93.1),  # released config: λ_align 0.2
}


def _table_10(name: str) -> Preset:
    """Return one column of the paper's Table 10."""
    rate, epochs, threshold, ratio, side_px, align, fairness, start, ramp, clip, must = _TABLE_10[name]
    large = name.endswith("-l")
    return Preset(
        settings={
            "backbone": "clip-vit-l14" if large else "clip-vit-b16",
            "mirror": True,  # the paper flips everywhere, traffic signs included
            "epochs": epochs,
            "batch_size": 512 if large else 1024,
            "base_learning_rate": rate,
            "weight_decay": 0.05,
            "layer_decay": 0.65,
            "threshold": threshold,
            "threshold_share": 0.0,
            "fairness_weight": fairness,
            "mask_ratio": ratio,
            "mask_patch_px": side_px,
            "align_weight": align,
            "average_start": start,
            "average_end": 0.9998,
            "average_ramp_steps": ramp,
            "average_horizon_share": 0.0,
        },
        source=MUST_PAPER, cost=MUST_COST, expected=f"{must} %, zero-shot {clip} % (the paper's)")


SMALL_COLLECTION = Preset(
    settings={
        "epochs": 10.0,  # `recommend` sets it so that SMALL_COLLECTION_VIEWS are seen
        "batch_size": 128,  # 156 steps; a class in eight or more is in every batch of ten classes
        "base_learning_rate": 1e-3,  # 3e-3 helps digits more, and undoes paintings
        "weight_decay": 0.05,
        "layer_decay": 0.65,
        "threshold": 0.7,  # teaches 70 % of digits and 35 % of paintings at first; half of each is worse for both
        "label_balance": "auto",  # zero-shot of a small model favours some names, and its teacher would too
        "least_kept": 0.4,  # between waste (44 %, gained) and what calls three images in four something else
        "fairness_weight": 1.0,
        "mask_ratio": 0.1,  # as in most of Table 10; [MSK] starts from nothing and has 156 steps
        "mask_patch_px": 16,
        "align_weight": 0.5,
        "average_start": 0.9,
        "average_horizon_share": 0.1,  # the paper's 0.9998 is a memory of 5,000 steps: more than all there are
    },
    source="ours, for a few thousand images and the bundled starter on two CPU cores",
    cost="about three minutes on 2 CPU cores (bfloat16) at 64 px",
    expected="see docs/results.md")

TURTLE_PAPER = Preset(
    settings={"steps": 6000, "inner_steps": 10, "sample_size": 10_000, "outer_learning_rate": 1e-3,
            "inner_learning_rate": 1e-3, "warm_start": False, "entropy_weight": 10.0},
    source="Gadetsky, Jiang, Brbić, ICML 2024; the defaults of mlbio-epfl/turtle at 4674efa",
    cost="unmeasured here", expected="the paper: 26 data sets, by backbone")

TURTLE_SMALL_COLLECTION = Preset(
    settings={**TURTLE_PAPER, "steps": 1000},
    source="ours, for a few thousand images on two CPU cores", cost="about 20 s on 2 CPU cores",
    expected="see docs/results.md")

MAECT_PAPER = "Lehner et al., 2023, arXiv:2304.10520, Tables 7 and 8"
MAECT_COST = "unmeasured here"

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


def _maect(name: str) -> Preset:
    """Return one column of the paper's Table 7 or 8."""
    epochs, batch_size, frozen, head_rate, temperature, nearest, projector_average = _TABLES_7_AND_8[name]
    augmentation, size = name.split("-")
    return Preset(
        settings={
            "backbone": _MAE[size],
            "mirror": True,  # the paper flips everywhere
            "augmentation": "crop" if augmentation == "min" else "strong",
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
        source=MAECT_PAPER, cost=MAECT_COST, expected="the paper: ImageNet, Tables 1 and 2")


MAECT_SMALL_COLLECTION = Preset(
    settings={
        "epochs": 4.0,  # `recommend` sets it so that SMALL_COLLECTION_VIEWS are seen in all
        "preparing_epochs": 2.0,
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
    },
    source="ours, for a few thousand images and the bundled starter on two CPU cores; a first guess, not tuned",
    cost="about three minutes on 2 CPU cores (bfloat16) at 64 px",
    expected="scikit-learn's digits, one seed: clusters right 68 %, k-means on the untuned encoder 56 %")

SEMIMAE_PAPER = "Yu, Zhao, Xu, 2023, arXiv:2301.01431, section 4.1; threshold and views are FixMatch's"
_SEMIMAE: Mapping[str, Value] = {
    "unlabelled_ratio": 7, "threshold": 0.95, "consistency_weight": 10.0, "reconstruction_weight": 5.0,
    "mask_ratio": 0.75, "weight_decay": 0.05}

SEMIMAE_FROM_SCRATCH = Preset(
    settings={
        **_SEMIMAE,
        "backbone": "vit-s16",
        "pretrained": False,
        "mirror": True,
        "pooling": "class",
        "epochs": 600,
        "warming_epochs": 100,
        "batch_size": 1024,  # the paper does not say
        "learning_rate": 1e-3,
        "final_learning_rate": 1e-5,
        "layer_decay": 1.0,
    },
    source=SEMIMAE_PAPER, cost="unmeasured here",
    expected="the paper: 75.9 % of ImageNet with a tenth of its labels, FixMatch on ResNet-50 71.5 %")

SEMIMAE_FINETUNE = Preset(
    settings={
        **_SEMIMAE,
        "backbone": "mae-vit-b16",
        "pretrained": True,
        "epochs": 50,
        "warming_epochs": 5,
        "batch_size": 512,
        "learning_rate": 2.5e-4,
        "final_learning_rate": 1e-6,
        "layer_decay": 0.65,  # of MAE's own finetuning
    },
    source="ours: the paper's weights from a pretrained encoder, with far fewer epochs; " + SEMIMAE_PAPER,
    cost="unmeasured here", expected="unmeasured here; the paper trains from scratch only")

SEMIMAE_SMALL_COLLECTION = Preset(
    settings={
        **_SEMIMAE,
        "epochs": 6.0,  # `recommend` sets it so that SMALL_COLLECTION_VIEWS are seen in all
        "warming_epochs": 1.0,  # a seventh, as in the paper
        "batch_size": 64,
        "learning_rate": 5e-4,
        "final_learning_rate": 1e-5,
        "layer_decay": 0.65,
    },
    source="ours, for a few thousand images and the bundled starter on two CPU cores; a first guess, not tuned",
    cost="about three minutes on 2 CPU cores (bfloat16) at 64 px",
    expected="unmeasured")

PRESETS: Mapping[str, Mapping[str, Preset]] = {
    "zeroshot": {},
    "kmeans": {},
    "turtle": {"paper": TURTLE_PAPER, "small-collection": TURTLE_SMALL_COLLECTION},
    "must": {**{name: _table_10(name) for name in _TABLE_10}, "small-collection": SMALL_COLLECTION},
    "maect": {**{name: _maect(name) for name in _TABLES_7_AND_8}, "small-collection": MAECT_SMALL_COLLECTION},
    "finetune": finetune_presets.PRESETS,
    "semimae": {"from-scratch": SEMIMAE_FROM_SCRATCH, "finetune": SEMIMAE_FINETUNE,
                "small-collection": SEMIMAE_SMALL_COLLECTION},
}

_LIKE = ((6_000, "dtd"), (40_000, "ucf101"), (400_000, "food101"), (math.inf, "imagenet"))
"""Up to so many images, the paper's collection whose settings are taken; the odd ones (signs hidden by
half, long tails at ten times the rate) are chosen by a person."""


def recommend(method: str, num_images: int, backbone: str) -> tuple[str, dict[str, Value]]:
    """Choose a preset by size and backbone.

    Args:
        method: of the catalogue.
        num_images: N.
        backbone: its name, or the first of several.

    Returns:
        The preset's name ("" where the method has none) and all values to be set, the preset's own
        adjusted to the collection.
    """
    known = BACKBONES.get(backbone)
    if method == "turtle":
        name = "small-collection" if num_images < 10_000 else "paper"
        return name, dict(PRESETS[method][name])
    if method == "maect" and backbone in VIT_BACKBONES:
        return _recommend_maect(num_images, backbone)
    if method == "finetune" and known is not None:
        return finetune_presets.recommend(num_images, backbone)
    if method == "semimae" and backbone in VIT_BACKBONES:
        return _recommend_semimae(num_images, backbone)
    if method != "must" or known is None:
        return "", {}
    starter = known.pretrained == "bundled"
    if starter or num_images < FEW_IMAGES:
        return "small-collection", _small(num_images, backbone)
    like = next(name for limit, name in _LIKE if num_images <= limit)
    name = f"{like}-l" if backbone == "clip-vit-l14" else f"{like}-b"
    values = {**PRESETS[method][name], "backbone": backbone}
    if backbone == "clip-vit-b32":
        values["mask_patch_px"] = 32  # its patches are 32 px
    return name, values


def _small(num_images: int, backbone: str) -> dict[str, Value]:
    """Return `small-collection` for so many images and this backbone."""
    epochs = max(1.0, SMALL_COLLECTION_VIEWS / max(1, num_images))
    values: dict[str, Value] = {**SMALL_COLLECTION, "backbone": backbone, "epochs": round(min(1000.0, epochs), 2)}
    if BACKBONES[backbone].image_size_px >= 224:
        # Large models move less a step; hidden blocks are the paper's, twice or four times the patch.
        values["base_learning_rate"] = 4e-5 if backbone == "clip-vit-l14" else 2e-5
        values["mask_patch_px"] = 56 if backbone == "clip-vit-l14" else 32
        values["threshold_share"] = 0.5  # unmeasured: how sure they are differs, and a share fits any
    return values


def _recommend_maect(num_images: int, backbone: str) -> tuple[str, dict[str, Value]]:
    """Return the paper's columns for its own models and enough images, else `small-collection`."""
    size = next((size for size, name in _MAE.items() if name == backbone), "")
    if size and num_images >= FEW_IMAGES:
        return f"min-{size}", dict(PRESETS["maect"][f"min-{size}"])
    epochs = max(1.0, SMALL_COLLECTION_VIEWS / 3 / max(1, num_images))  # an epoch of tuning is two views
    values = {**MAECT_SMALL_COLLECTION, "backbone": backbone, "epochs": round(min(1000.0, epochs), 2),
              "preparing_epochs": round(min(1000.0, epochs / 2), 2)}
    if size:
        values["frozen_blocks"] = PRESETS["maect"][f"min-{size}"]["frozen_blocks"]
        values["pooling"] = PRESETS["maect"][f"min-{size}"]["pooling"]
    elif backbone != "starter-mae":  # DINOv2: 12 or 24 blocks, made to be read at the class token
        values["frozen_blocks"] = 12 if backbone == "dinov2-vit-l14" else 6
        values["pooling"] = "class"
    if backbone != "starter-mae":  # large models move less a step
        values["base_learning_rate"] = values["head_learning_rate"] = values["preparing_learning_rate"] = 1e-4
    return "small-collection", values


def _recommend_semimae(num_images: int, backbone: str) -> tuple[str, dict[str, Value]]:
    """Return `finetune` for large models and enough images, else `small-collection`; nobody is sent to scratch."""
    pooling = "patches" if "mae" in backbone else "class"
    if backbone != "starter-mae" and num_images >= FEW_IMAGES:
        return "finetune", {**SEMIMAE_FINETUNE, "backbone": backbone, "pooling": pooling}
    epochs = max(1.0, SMALL_COLLECTION_VIEWS / 2 / max(1, num_images))  # an image is seen weakly and strongly
    values = {**SEMIMAE_SMALL_COLLECTION, "backbone": backbone, "pooling": pooling,
              "epochs": round(min(1000.0, epochs * 6 / 7), 2), "warming_epochs": round(min(1000.0, epochs / 7), 2)}
    if backbone != "starter-mae":  # large models move less a step
        values["learning_rate"] = 1e-4
    return "small-collection", values
