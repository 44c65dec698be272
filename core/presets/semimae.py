"""Semi-MAE's settings under a name: the paper's, and ours. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping

from core.presets.preset import FEW_IMAGES, SMALL_COLLECTION_VIEWS, Preset
from core.settings import Value

PAPER = "Yu, Zhao, Xu, 2023, arXiv:2301.01431, section 4.1; threshold and views are FixMatch's"
_SHARED: Mapping[str, Value] = {
    "unlabelled_ratio": 7, "threshold": 0.95, "consistency_weight": 10.0, "reconstruction_weight": 5.0,
    "mask_ratio": 0.75, "weight_decay": 0.05}

FROM_SCRATCH = Preset(
    settings={
        **_SHARED,
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
    source=PAPER, cost="unmeasured here",
    expected="the paper: 75.9 % of ImageNet with a tenth of its labels, FixMatch on ResNet-50 71.5 %")

FINETUNE = Preset(
    settings={
        **_SHARED,
        "backbone": "mae-vit-b16",
        "pretrained": True,
        "epochs": 50,
        "warming_epochs": 5,
        "batch_size": 512,
        "learning_rate": 2.5e-4,
        "final_learning_rate": 1e-6,
        "layer_decay": 0.65,  # of MAE's own finetuning
    },
    source="ours: the paper's weights from a pretrained encoder, with far fewer epochs; " + PAPER,
    cost="unmeasured here", expected="unmeasured here; the paper trains from scratch only")

SMALL_COLLECTION = Preset(
    settings={
        **_SHARED,
        "epochs": 6.0,  # `recommend` sets it so that SMALL_COLLECTION_VIEWS are seen in all
        "warming_epochs": 1.0,  # a seventh, as in the paper
        "batch_size": 64,
        "learning_rate": 5e-4,
        "final_learning_rate": 1e-5,
        "layer_decay": 0.65,
    },
    source="ours, for a few thousand images and the bundled starter on two CPU cores; a first guess, not tuned",
    cost="about a second of one CPU core a step, three minutes in all, at 64 px; timed on a busy machine",
    expected="scikit-learn's digits, four labels a class, one seed, 84 % of these views: 81.2 % of the others right; "
             "without the autoencoder (FixMatch) 78.4 %")

PRESETS: Mapping[str, Preset] = {"from-scratch": FROM_SCRATCH, "finetune": FINETUNE,
                                 "small-collection": SMALL_COLLECTION}


def recommend(num_images: int, backbone: str) -> tuple[str, dict[str, Value]]:
    """Return `finetune` for large models and enough images, else `small-collection`; nobody is sent to scratch."""
    pooling = "patches" if "mae" in backbone else "class"
    if backbone != "starter-mae" and num_images >= FEW_IMAGES:
        return "finetune", {**FINETUNE, "backbone": backbone, "pooling": pooling}
    epochs = max(1.0, SMALL_COLLECTION_VIEWS / 2 / max(1, num_images))  # an image is seen weakly and strongly
    values = {**SMALL_COLLECTION, "backbone": backbone, "pooling": pooling,
              "epochs": round(min(1000.0, epochs * 6 / 7), 2), "warming_epochs": round(min(1000.0, epochs / 7), 2)}
    if backbone != "starter-mae":  # large models move less a step
        values["learning_rate"] = 1e-4
    return "small-collection", values
