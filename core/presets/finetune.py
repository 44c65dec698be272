"""Unsupervised finetuning's settings under a name: the paper's, its naive baseline, ours. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping

from core.catalog import BACKBONES
from core.presets.preset import FEW_IMAGES, SMALL_COLLECTION_VIEWS, Preset
from core.settings import Value

RESNETS = ("resnet50", "resnet101")

PAPER = Preset(
    settings={
        "backbone": "resnet50",  # section 5's; its ImageNet weights are MoCo-v2's own, or supervised (Table 3), as here
        "mode": "replay",
        "replay_share": 0.1,  # of ImageNet: 128,000 images
        "replay_limit": 0,
        "mixing": "cutmix",
        "mixing_alpha": 1.0,
        "epochs": 200,
        "batch_size": 256,
        "optimiser": "sgd",
        "base_learning_rate": 0.015,
        "head_learning_rate": 0.015,
        # What section 5 does not say is MoCo-v2's (facebookresearch/moco).
        "weight_decay": 1e-4,
        "temperature": 0.2,
        "queue_size": 65_536,
        "momentum": 0.999,
        "average_horizon_share": 0.0,
    },
    source="Li et al., 2021, arXiv:2110.09510, section 5; the rest MoCo-v2's, Chen et al., 2020, arXiv:2003.04297",
    cost="unmeasured here",
    expected="k-means, BCubed precision: Caltech101 69.9 (before 56.2), Pets 56.1 (47.7), CIFAR-100 44.9 (23.9), "
             "Food101 51.7 (11.9): the paper's, Table 2")

NAIVE = Preset(
    settings={**PAPER, "mode": "target", "mixing": "none"},
    source="the same paper's naive way, which it is compared with", cost="unmeasured here",
    expected="k-means, BCubed precision: Caltech101 61.3, Pets 47.3, CIFAR-100 41.7, Food101 34.2: the paper's, "
             "Table 2")

SMALL_COLLECTION = Preset(
    settings={
        "mode": "auto",
        "replay_share": 1.0,  # who chooses a replay collection has chosen how much; `recommend` sets a limit
        "mixing": "cutmix",
        "epochs": 5.0,  # `recommend` sets it so that SMALL_COLLECTION_VIEWS are seen
        "batch_size": 64,  # about 150 steps
        "optimiser": "adamw",
        "base_learning_rate": 2e-4,  # 1e-3 undid the starter on digits within a quarter of the run
        "head_learning_rate": 1e-3,  # it starts from nothing, where the paper goes on with its pretraining's
        "weight_decay": 0.05,
        "temperature": 0.2,
        "average_horizon_share": 0.1,  # the paper's 0.999 is a memory of 1,000 steps: more than all there are
    },
    source="ours, for a few thousand images and the bundled starters on two CPU cores; a first guess, not tuned",
    cost="about three minutes on 2 CPU cores (bfloat16) at 64 px; with replay a quarter more",
    expected="starter-mae, one seed, k-means right: with replay paintings 26 % (before 23), satellite 43 (40), waste "
             "37 (37); naive, digits 35 (58): see docs/results.md")

PRESETS: Mapping[str, Preset] = {"paper": PAPER, "paper-naive": NAIVE, "small-collection": SMALL_COLLECTION}


def recommend(num_images: int, backbone: str) -> tuple[str, dict[str, Value]]:
    """Choose a preset by size and backbone, and replay where a collection is given; see `core.presets.table.recommend`.

    The paper's for its own ResNets and enough images, else `small-collection`.
    """
    if backbone in RESNETS and num_images >= FEW_IMAGES:
        return "paper", {**PAPER, "backbone": backbone, "mode": "auto"}
    epochs = max(1.0, SMALL_COLLECTION_VIEWS / 2 / max(1, num_images))  # an epoch is two views
    values = {**SMALL_COLLECTION, "backbone": backbone, "epochs": round(min(1000.0, epochs), 2),
              "replay_limit": max(1, num_images // 4)}
    if backbone in RESNETS:
        values |= {"optimiser": "sgd", "base_learning_rate": 0.015, "head_learning_rate": 0.015, "weight_decay": 1e-4}
    elif BACKBONES[backbone].image_size_px >= 224:  # large models move less a step
        values["base_learning_rate"] = 2e-5
    return "small-collection", values
