"""Every method, backbone and setting a person can choose. Standard library only.

The form, the validator, the command line, the run's JSON and the docs all read these lines.
A new method is four edits: its settings here, its file in `core.methods`, its presets in `core.presets`, its small
one in the tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from core.errors import ConfigError
from core.settings import check, setting


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """A foundation model a person selects by name.

    Attributes:
        title: what the form shows.
        library: "open_clip" or "timm"; bundled starters load through the same library.
        architecture: the library's model name.
        pretrained: the library's weight tag, or "bundled".
        has_text: whether class names can be read (CLIP family).
        image_size_px: side of the square the network sees.
        parameters_millions: for the cost sentence.
        license: of the weights.
    """

    title: str
    library: str
    architecture: str
    pretrained: str
    has_text: bool
    image_size_px: int
    parameters_millions: float
    license: str = ""


def _clip(title: str, architecture: str, size_px: int, millions: float) -> Backbone:
    return Backbone(title=title, library="open_clip", architecture=architecture, pretrained="openai",
                    has_text=True, image_size_px=size_px, parameters_millions=millions, license="MIT")


def _timm(title: str, architecture: str, size_px: int, millions: float, license_: str) -> Backbone:
    return Backbone(title=title, library="timm", architecture=architecture, pretrained="default",
                    has_text=False, image_size_px=size_px, parameters_millions=millions, license=license_)


BACKBONES: Mapping[str, Backbone] = {
    "starter-clip": Backbone(
        title="Starter CLIP (bundled, 64 px)", library="open_clip", architecture="starter-clip", pretrained="bundled",
        has_text=True, image_size_px=64, parameters_millions=2.8, license="research only, see its card"),
    "starter-mae": Backbone(
        title="Starter MAE (bundled, 64 px)", library="timm", architecture="starter-mae", pretrained="bundled",
        has_text=False, image_size_px=64, parameters_millions=2.7, license="research only, see its card"),
    "clip-rn50": _clip("CLIP RN50", "RN50-quickgelu", 224, 38),
    "clip-rn101": _clip("CLIP RN101", "RN101-quickgelu", 224, 56),
    "clip-rn50x4": _clip("CLIP RN50x4", "RN50x4-quickgelu", 288, 87),
    "clip-rn50x16": _clip("CLIP RN50x16", "RN50x16-quickgelu", 384, 168),
    "clip-rn50x64": _clip("CLIP RN50x64", "RN50x64-quickgelu", 448, 421),
    "clip-vit-b32": _clip("CLIP ViT-B/32", "ViT-B-32-quickgelu", 224, 88),
    "clip-vit-b16": _clip("CLIP ViT-B/16", "ViT-B-16-quickgelu", 224, 86),
    "clip-vit-l14": _clip("CLIP ViT-L/14", "ViT-L-14-quickgelu", 224, 304),
    "mae-vit-b16": _timm("MAE ViT-B/16", "vit_base_patch16_224.mae", 224, 86, "CC-BY-NC-4.0"),
    "mae-vit-l16": _timm("MAE ViT-L/16", "vit_large_patch16_224.mae", 224, 303, "CC-BY-NC-4.0"),
    "mae-vit-h14": _timm("MAE ViT-H/14", "vit_huge_patch14_224.mae", 224, 631, "CC-BY-NC-4.0"),
    "dinov2-vit-s14": _timm("DINOv2 ViT-S/14", "vit_small_patch14_dinov2.lvd142m", 224, 22, "Apache-2.0"),
    "dinov2-vit-b14": _timm("DINOv2 ViT-B/14", "vit_base_patch14_dinov2.lvd142m", 224, 87, "Apache-2.0"),
    "dinov2-vit-l14": _timm("DINOv2 ViT-L/14", "vit_large_patch14_dinov2.lvd142m", 224, 304, "Apache-2.0"),
    "vit-s16": _timm("ViT-S/16 (supervised)", "vit_small_patch16_224.augreg_in1k", 224, 22, "Apache-2.0"),
    "resnet50": _timm("ResNet-50 (supervised)", "resnet50.a1_in1k", 224, 26, "Apache-2.0"),
    "resnet101": _timm("ResNet-101 (supervised)", "resnet101.a1_in1k", 224, 45, "Apache-2.0"),
}
TEXT_BACKBONES = tuple(name for name, one in BACKBONES.items() if one.has_text)
VIT_BACKBONES = tuple(name for name, one in BACKBONES.items() if one.library == "timm" and "resnet" not in name)
VIT_TEXT_BACKBONES = tuple(name for name in TEXT_BACKBONES if "rn" not in name.split("-")[1])
TEMPLATE_SETS = ("one", "simple-7", "openai-80", "own")

MIRROR_HELP = ("Training may flip images left to right. Switch off for digits, text and signs: "
               "a mirrored 2 is not a 2, and 'turn left' becomes 'turn right'.")


def _templates() -> Any:
    return setting("openai-80", "Prompt templates", "How class names are put into sentences before they are read.",
                   choices=TEMPLATE_SETS)


def _own_templates() -> Any:
    return setting("", "Your own templates", "One a line, each with {} where the name goes; used with 'own'.")


def _spaces() -> Any:
    return setting("starter-clip", "Feature spaces", "One to three foundation models, separated by commas.",
                   choices=tuple(BACKBONES), at_most=3, advanced=False)


def _names_from_labels() -> Any:
    return setting(False, "Labelled images name the groups", "A group is called what most of its images are that you "
                   "confirmed or corrected in review, or gave with --labels in the shell; what the names mean decides "
                   "for groups without any.")


@dataclass(frozen=True, kw_only=True)
class ZeroShotSettings:
    """Zero-shot classification by class names (Radford et al., 2021)."""

    backbone: str = setting("starter-clip", "Foundation model", choices=TEXT_BACKBONES, advanced=False)
    templates: str = _templates()
    own_templates: str = _own_templates()


@dataclass(frozen=True, kw_only=True)
class KMeansSettings:
    """k-means on normalised frozen features: the baseline where no names are given."""

    spaces: str = _spaces()
    names_from_labels: bool = _names_from_labels()
    starts: int = setting(60, "Starts", "The best of this many is kept. The best of ten still differs from "
                          "seed to seed.", low=1, high=1000)
    batch_size: int = setting(256, "Images a batch", low=1, high=4096)


@dataclass(frozen=True, kw_only=True)
class TurtleSettings:
    """TURTLE (Gadetsky, Jiang, Brbić, ICML 2024): labels from the geometry of feature spaces."""

    spaces: str = _spaces()
    steps: int = setting(6000, "Outer steps", low=1, high=100_000, symbol="T")
    inner_steps: int = setting(10, "Inner steps", low=1, high=1000, symbol="M")
    sample_size: int = setting(10_000, "Images a step", low=2, high=100_000)
    outer_learning_rate: float = setting(1e-3, "Outer learning rate", low=1e-6, high=1.0, symbol="η, Eq. 13")
    inner_learning_rate: float = setting(1e-3, "Inner learning rate", low=1e-6, high=1.0)
    warm_start: bool = setting(False, "Warm start", "Keep the inner classifiers from step to step.")
    entropy_weight: float = setting(10.0, "Balance of classes", low=0.0, high=1000.0, symbol="γ, Eq. 12")
    search: bool = setting(False, "Choose settings by the label-free score",
                           "Tries several learning rates, warm and cold, and keeps the best score.")
    search_limit: int = setting(6, "Settings tried at most", low=1, high=50)
    starts: int = setting(1, "Starts", "Begins this many times from different random starts and keeps the labels "
                          "that a bundled encoder which took no part finds easiest to repeat. Where settings are "
                          "searched, each is tried from one start.", low=1, high=20)
    names_from_labels: bool = _names_from_labels()
    classes_from: int = setting(0, "Fewest classes to try", "With 'don't know': the sweep's lower end; 0 chooses it.",
                                low=0, high=10_000)
    classes_to: int = setting(0, "Most classes to try", low=0, high=10_000)
    batch_size: int = setting(256, "Images a batch", low=1, high=4096)


@dataclass(frozen=True, kw_only=True)
class MustSettings:
    """MUST (Li, Savarese, Hoi, 2022, arXiv:2206.02967): masked unsupervised self-training."""

    backbone: str = setting("starter-clip", "Foundation model", choices=VIT_TEXT_BACKBONES, advanced=False)
    templates: str = _templates()
    own_templates: str = _own_templates()
    mirror: bool = setting(True, "Mirror images mean the same", MIRROR_HELP, advanced=False)
    smallest_crop: float = setting(0.3, "Smallest part that still shows the class", "As a share of the image; raise it "
                                   "for digits, text and signs, where a part may look like another.", low=0.05,
                                   high=1.0)
    epochs: float = setting(30.0, "Epochs", "Times every image is seen.", low=0.01, high=1000)
    batch_size: int = setting(1024, "Images a step", "The effective batch, kept by accumulation.", low=2, high=65_536,
                              symbol="B, Eq. 2")
    base_learning_rate: float = setting(2e-5, "Base learning rate", "For 256 images a step.", low=1e-8, high=1.0)
    weight_decay: float = setting(0.05, "Weight decay", low=0.0, high=1.0)
    layer_decay: float = setting(0.65, "Layer decay", "Earlier layers learn this much slower, layer by layer.",
                                 low=0.01, high=1.0)
    self_training: bool = setting(True, "Self-training", symbol="Eq. 2")
    threshold: float = setting(0.7, "Confidence needed", "Answers the teacher is less sure of teach nothing.",
                               low=0.0, high=1.0, symbol="τ, Eq. 2")
    threshold_share: float = setting(0.0, "Share confident at the start",
                                     "Above 0: the threshold is set so that this share of images is confident "
                                     "at the start.", low=0.0, high=1.0)
    label_balance: str = setting("off", "Balance the labels that teach", "even: the teacher names all classes equally "
                                 "often; loose: none three times more or less often; auto: even unless that makes the "
                                 "labels harder to learn. The paper: off.",
                                 choices=("off", "loose", "even", "auto"))
    fairness_weight: float = setting(1.0, "Balance of classes", "0 switches it off.", low=0.0, high=100.0,
                                     symbol="λ_reg, Eq. 3")
    fairness_average: str = setting("auto", "Balance is averaged over", "The paper averages over steps when there are "
                                    "more classes than images a step.", choices=("auto", "batch", "moving"))
    masked_modelling: bool = setting(True, "Recover hidden patches", symbol="Eq. 4")
    mask_ratio: float = setting(0.3, "Share hidden", low=0.0, high=0.95)
    mask_patch_px: int = setting(32, "Side of a hidden block, px", low=1, high=1024, symbol="s")
    align_weight: float = setting(0.2, "Alignment of global and local", "0 switches it off.", low=0.0, high=100.0,
                                  symbol="λ_align, Eq. 5")
    nearest: int = setting(0, "Align only the nearest", "Only so many hidden patches nearest to the global answer; "
                           "0 takes all (Table 6 tries 10).", low=0, high=1000)
    average_start: float = setting(0.999, "Teacher average at first", low=0.0, high=1.0, symbol="μ_0, Eq. 1")
    average_end: float = setting(0.9998, "Teacher average at last", low=0.0, high=1.0, symbol="μ, Eq. 1")
    average_ramp_steps: int = setting(2000, "Steps from first to last", low=0, high=1_000_000, symbol="μ_n")
    average_horizon_share: float = setting(0.0, "Teacher's memory as a share of the run",
                                           "Above 0: sets the teacher's average from the number of steps, for "
                                           "short runs.", low=0.0, high=1.0)
    least_kept: float = setting(0.0, "Least share of zero-shot's answers kept", "Where the adapted model answers fewer "
                                "images as zero-shot, balanced, did, names have moved from class to class, and the "
                                "result is zero-shot, balanced. 0, the paper: whatever comes.", low=0.0, high=1.0)
    least_used: float = setting(0.0, "Least share of the classes in use", "Where the adapted model's answers crowd "
                                "into fewer (by their perplexity), the names meant nothing here, and the result is "
                                "zero-shot, balanced. Where there are more names than things, of the classes that "
                                "zero-shot uses. 0, the paper: whatever comes.", low=0.0, high=1.0)
    warm_up_epochs: float = setting(1.0, "Warm-up epochs", "On the warm-up collection, classifier frozen (Table 4).",
                                    low=0.0, high=100.0)
    labels_from: str = setting("teacher", "Answers come from", choices=("teacher", "student"))
    precision: str = setting("auto", "Precision", "bfloat16 where the hardware computes it; losses are always float32.",
                             choices=("auto", "float32", "bfloat16"))
    images_at_once: int = setting(0, "Images held in memory at once", "0 chooses it; a step larger than that is "
                                  "computed in pieces, with the same result.", low=0, high=65_536)


@dataclass(frozen=True, kw_only=True)
class MaectSettings:
    """MAE-CT (Lehner et al., 2023, arXiv:2304.10520): contrastive tuning of a masked autoencoder."""

    backbone: str = setting("starter-mae", "Foundation model", choices=VIT_BACKBONES, advanced=False)
    mirror: bool = setting(True, "Mirror images mean the same", MIRROR_HELP, advanced=False)
    augmentation: str = setting("crop", "Views differ by", "Crops (and mirror images) alone, or strongly in colour and "
                                "sharpness too (BYOL's).", choices=("crop", "strong"))
    smallest_crop: float = setting(0.2, "Smallest part that still shows the class", "As a share of the image, where "
                                   "views differ by crops; further pretraining takes 0.2.", low=0.05, high=1.0)
    pooling: str = setting("patches", "Features are", "The mean of all patches (the paper's ViT-B) or the class token "
                           "(its L and H).", choices=("patches", "class"))
    epochs: float = setting(20.0, "Tuning epochs", "Times every image is seen, twice each.", low=0.0, high=1000)
    batch_size: int = setting(1024, "Images a step", "The effective batch, kept by accumulation: each image is told "
                              "from all others of it.", low=2, high=65_536)
    base_learning_rate: float = setting(1e-4, "Encoder's base learning rate", "For 256 views a step.", low=1e-8,
                                        high=1.0)
    head_learning_rate: float = setting(1e-4, "Head's base learning rate", low=1e-8, high=1.0)
    weight_decay: float = setting(0.05, "Encoder's weight decay", low=0.0, high=1.0)
    head_weight_decay: float = setting(1e-5, "Head's weight decay", low=0.0, high=1.0)
    layer_decay: float = setting(0.65, "Layer decay", "Earlier layers learn this much slower, layer by layer.",
                                 low=0.01, high=1.0)
    frozen_blocks: int = setting(6, "Blocks kept as they are", "Counted from the image; the paper keeps half.", low=0,
                                 high=1000)
    temperature: float = setting(0.15, "Temperature", low=0.001, high=10.0, symbol="τ, Eq. 2")
    nearest: int = setting(20, "Nearest images to draw from", "0: no lookup, an image's other view is its neighbour "
                           "(Table 3).", low=0, high=1000, symbol="k, Eq. 1")
    queue_size: int = setting(65_536, "Images looked up", "At most as many as there are.", low=2, high=1_000_000,
                              symbol="Q, Eq. 1")
    encoder_average: float = setting(0.9999, "Encoder's average", low=0.0, high=1.0, symbol="t1")
    projector_average: float = setting(0.99, "Projector's average", low=0.0, high=1.0, symbol="t2")
    average_horizon_share: float = setting(0.0, "Average's memory as a share of the run", "Above 0: sets the encoder's "
                                           "average from the number of steps, for short runs.", low=0.0, high=1.0)
    mask_ratio: float = setting(0.0, "Share hidden while tuning", "0.75 fits a small GPU and costs a little "
                                "(Table 3).", low=0.0, high=0.95)
    preparing_epochs: float = setting(20.0, "Epochs to prepare the head", "On the frozen encoder; 0 skips it "
                                      "(Table 3).", low=0.0, high=1000)
    preparing_learning_rate: float = setting(1e-4, "Base learning rate of preparing", low=1e-8, high=1.0)
    oracle: bool = setting(False, "Labelled images are neighbours of their class",
                           "Uses the images that you confirmed or corrected in review, or --labels in the shell "
                           "(Table 16).")
    names_from_labels: bool = _names_from_labels()
    classifier_from: str = setting("groups", "Classifier comes from", "The groups, each of them a class; or a linear "
                                   "classifier of the tuned features, fitted to the images that you confirmed or "
                                   "corrected in review, or gave with --labels in the shell (labels).",
                                   choices=("groups", "labels"))
    pretraining_epochs: float = setting(0.0, "Epochs of further pretraining", "Recovers hidden patches of your images "
                                        "first.", low=0.0, high=10_000)
    pretraining_learning_rate: float = setting(1.5e-4, "Base learning rate of pretraining", low=1e-8, high=1.0)
    pretraining_mask_ratio: float = setting(0.75, "Share hidden while pretraining", low=0.05, high=0.95)
    pretraining_contrast_weight: float = setting(0.0, "Contrast while pretraining", "The paper's combined pretraining "
                                                 "takes 0.001 (Table 4).", low=0.0, high=100.0,
                                                 symbol="λ, section 4.4")
    pretraining_detached: bool = setting(False, "Contrast while pretraining teaches the head alone", "Table 4.")
    starts: int = setting(100, "Starts of k-means", "The best of this many is kept.", low=1, high=1000)
    precision: str = setting("auto", "Precision", "bfloat16 where the hardware computes it; losses are always float32.",
                             choices=("auto", "float32", "bfloat16"))
    images_at_once: int = setting(0, "Images held in memory at once", "0 chooses it; a step larger than that is "
                                  "computed in pieces, with the same result.", low=0, high=65_536)


@dataclass(frozen=True, kw_only=True)
class FinetuneSettings:
    """Unsupervised finetuning (Li et al., 2021, arXiv:2110.09510): MoCo-v2 with source replay and mixed images."""

    backbone: str = setting("starter-mae", "Foundation model", choices=tuple(BACKBONES), advanced=False)
    mirror: bool = setting(True, "Mirror images mean the same", MIRROR_HELP, advanced=False)
    mode: str = setting("auto", "Learns from", "Your images alone (target), or a replay collection's too (replay); "
                        "auto replays where such a collection is given.", choices=("auto", "target", "replay"))
    replay_share: float = setting(0.1, "Share of the replay collection", "A tenth of what the model once learnt from "
                                  "is enough to keep it in place.", low=0.001, high=1.0)
    replay_limit: int = setting(0, "Replayed images at most", "0: as many as the share says.", low=0, high=10_000_000)
    mixing: str = setting("cutmix", "Images are mixed by", "A rectangle of another image (cutmix), its shadow (mixup), "
                          "both by turns at random, or not at all.", choices=("none", "cutmix", "mixup", "both"),
                          symbol="Eq. 5")
    mixing_alpha: float = setting(1.0, "Evenness of mixing", "1: any share is as likely as another.", low=0.01,
                                  high=100.0, symbol="α")
    mixed_only: bool = setting(False, "Mixed images only", "Leaves images that are not mixed out of the loss "
                               "(Eq. 4), in two thirds of the time.")
    epochs: float = setting(200.0, "Epochs", "Times every image is seen, twice each.", low=0.01, high=10_000)
    batch_size: int = setting(256, "Images a step", low=2, high=65_536)
    optimiser: str = setting("sgd", "Optimiser", "The paper's for ResNets; transformers need adamw.",
                             choices=("sgd", "adamw"))
    base_learning_rate: float = setting(0.015, "Encoder's base learning rate", "For 256 images a step.", low=1e-8,
                                        high=10.0)
    head_learning_rate: float = setting(0.015, "Head's base learning rate", "The head starts from nothing.", low=1e-8,
                                        high=10.0)
    weight_decay: float = setting(1e-4, "Weight decay", low=0.0, high=1.0)
    temperature: float = setting(0.2, "Temperature", low=0.001, high=10.0, symbol="τ, Eq. 4")
    queue_size: int = setting(65_536, "Images to be told from", "At most as many as there are.", low=2, high=1_000_000,
                              symbol="K, Eq. 4")
    momentum: float = setting(0.999, "Momentum of the key encoder", low=0.0, high=1.0, symbol="m")
    average_horizon_share: float = setting(0.0, "Key encoder's memory as a share of the run", "Above 0: sets the "
                                           "momentum from the number of steps, for short runs.", low=0.0, high=1.0)
    names_from_labels: bool = _names_from_labels()
    classifier_from: str = setting("groups", "Classifier comes from", "The groups, each of them a class; or a linear "
                                   "classifier of the tuned features, fitted to the images that you confirmed or "
                                   "corrected in review, or gave with --labels in the shell (labels).",
                                   choices=("groups", "labels"))
    starts: int = setting(100, "Starts of k-means", "The best of this many is kept.", low=1, high=1000)
    precision: str = setting("auto", "Precision", "bfloat16 where the hardware computes it; losses are always float32.",
                             choices=("auto", "float32", "bfloat16"))
    images_at_once: int = setting(0, "Images held in memory at once", "0 chooses it; a step larger than that is "
                                  "computed in pieces, with the same result.", low=0, high=65_536)


@dataclass(frozen=True, kw_only=True)
class SemiMaeSettings:
    """Semi-MAE (arXiv:2301.01431): FixMatch on a vision transformer that also recovers hidden patches."""

    backbone: str = setting("starter-mae", "Foundation model", choices=VIT_BACKBONES, advanced=False)
    pretrained: bool = setting(True, "Begin with the foundation model's weights", "Off: from scratch, as in the paper; "
                               "that takes very many images.")
    mirror: bool = setting(True, "Mirror images mean the same", MIRROR_HELP, advanced=False)
    pooling: str = setting("patches", "Features are", "The mean of all patches or the class token.",
                           choices=("patches", "class"))
    epochs: float = setting(50.0, "Epochs", "Times as many unlabelled images are seen, once their own answers count, "
                            "as there are of them, or of labelled ones where those are more.", low=0.0, high=10_000)
    warming_epochs: float = setting(5.0, "Epochs before", "Only your labels and the hidden patches count yet.", low=0.0,
                                    high=10_000)
    batch_size: int = setting(512, "Images a step", "Labelled and unlabelled together.", low=2, high=65_536)
    unlabelled_ratio: int = setting(7, "Unlabelled images for each labelled one", low=1, high=100)
    learning_rate: float = setting(2.5e-4, "Learning rate at first", low=1e-8, high=1.0)
    final_learning_rate: float = setting(1e-6, "Learning rate at last", low=0.0, high=1.0)
    weight_decay: float = setting(0.05, "Weight decay", low=0.0, high=1.0)
    layer_decay: float = setting(0.65, "Layer decay", "Earlier layers learn this much slower, layer by layer; 1 from "
                                 "scratch.", low=0.01, high=1.0)
    threshold: float = setting(0.95, "Confidence needed", "Answers less sure than that teach nothing.", low=0.0,
                               high=1.0, symbol="τ, Eq. 2")
    consistency_weight: float = setting(10.0, "Own answers", "How much the confident ones count; 0 switches them off.",
                                        low=0.0, high=1000.0, symbol="λ, Eq. 3")
    reconstruction_weight: float = setting(5.0, "Hidden patches", "How much recovering them counts; 0 switches it off: "
                                           "that is FixMatch.", low=0.0, high=1000.0, symbol="μ, Eq. 3")
    mask_ratio: float = setting(0.75, "Share hidden", low=0.05, high=0.95)
    precision: str = setting("auto", "Precision", "bfloat16 where the hardware computes it; losses are always float32.",
                             choices=("auto", "float32", "bfloat16"))
    images_at_once: int = setting(0, "Images held in memory at once", "0 chooses it; a step larger than that is "
                                  "computed in pieces, with the same result.", low=0, high=65_536)


Settings = (ZeroShotSettings | KMeansSettings | TurtleSettings | MustSettings | MaectSettings | FinetuneSettings
            | SemiMaeSettings)


@dataclass(frozen=True, kw_only=True)
class Method:
    """One row of the table.

    Attributes:
        title: what a person reads.
        summary: one sentence of what it does and when to take it.
        settings: its settings dataclass.
        function: dotted path of ``adapt(settings, problem, run) -> Classifier``, resolved when used.
        needs: "names", "count" (names or K) or "nothing" (K may be unknown).
        quick: whether it takes seconds without a GPU too: where every GPU is busy, the quick lane may do its runs.
        adapts: whether its model has an encoder of its own, with which another run can begin.
        joins: whether it can adapt to the images of further collections beside the run's own, to one model.
    """

    title: str
    summary: str
    settings: type[Settings]
    function: str
    needs: str
    quick: bool = False
    adapts: bool = False
    joins: bool = False


METHODS: Mapping[str, Method] = {
    "zeroshot": Method(
        title="Zero-shot", settings=ZeroShotSettings, function="core.methods.zeroshot:adapt", needs="names", quick=True,
        summary="Reads your class names and answers at once, with no adaptation: the baseline for names."),
    "kmeans": Method(
        title="k-means", settings=KMeansSettings, function="core.methods.kmeans:adapt", needs="count", quick=True,
        summary="Groups images by their frozen features: the baseline where there are no names."),
    # Not quick: as in the paper it learns for minutes on a CPU, and no other run waits for it as its baseline.
    "turtle": Method(
        title="TURTLE", settings=TurtleSettings, function="core.methods.turtle:adapt", needs="nothing",
        summary="Finds the classes hidden in the images themselves; needs only how many, or not even that."),
    "must": Method(
        title="MUST", settings=MustSettings, function="core.methods.must:adapt", needs="names", adapts=True, joins=True,
        summary="Starts from your class names and teaches the model on your own photographs."),
    "maect": Method(
        title="MAE-CT", settings=MaectSettings, function="core.methods.maect:adapt", needs="count", adapts=True,
        summary="Tunes a model that knows no words until its features form groups of things, then takes the groups."),
    "finetune": Method(
        title="Unsupervised finetuning", settings=FinetuneSettings, function="core.methods.finetune:adapt",
        needs="count", adapts=True,
        summary="Teaches any model, ResNets too, to tell your own images apart, then takes the groups they form."),
    "semimae": Method(
        title="Semi-MAE", settings=SemiMaeSettings, function="core.methods.semimae:adapt", needs="names", adapts=True,
        summary="Learns from the images that you confirmed or corrected in review, and from all others besides."),
}


def learns_from_labels(settings: Settings) -> bool:
    """Tell whether these settings ask for images that a person labelled, to learn from or to name groups by."""
    method = next(name for name, one in METHODS.items() if one.settings is type(settings))
    values = asdict(settings)
    return taught_by_labels(method, values) or bool(values.get("names_from_labels"))


def taught_by_labels(method: str, settings: Mapping[str, object]) -> bool:
    """Tell whether answers are learnt from a person's labels: groups that these only name stay what they are."""
    return method == "semimae" or bool(settings.get("oracle")) or settings.get("classifier_from") == "labels"


def answers_in_groups(method: str, settings: Mapping[str, object]) -> bool:
    """Tell whether a method, with these settings, only counts: its groups' names were found afterwards, by a guess or a
    person.

    False for a method that this release does not know: of its answers nothing is claimed.
    """
    return method in METHODS and METHODS[method].needs != "names" and settings.get("classifier_from") != "labels"


def from_scratch(settings: Mapping[str, object]) -> bool:
    """Tell whether the foundation model of these settings is an architecture alone, without its weights."""
    return settings.get("pretrained") is False


def parse(method: str, values: Mapping[str, object]) -> Settings:
    """Check values (from a form, JSON or a shell; text or typed) and return the method's settings.

    Raises:
        ConfigError: naming the setting, what is wrong and what would be right.
    """
    if method not in METHODS:
        raise ConfigError("method", f"unknown method {method!r}; choose one of {', '.join(METHODS)}")
    kind = METHODS[method].settings
    settings = kind(**check(kind, values, METHODS[method].title))
    _check_together(settings)
    return settings


def replays(settings: FinetuneSettings, *, given: bool) -> bool:
    """Tell whether a run replays, `given` a collection for it or not.

    Raises:
        ConfigError: where one is needed and not given, or given and not used.
    """
    if settings.mode == "replay" and not given:
        raise ConfigError("replay", "no collection to replay: choose a replay collection (--replay DIR in the shell) "
                          "of images like those the foundation model learnt from, or set mode to auto or target")
    if settings.mode == "target" and given:
        raise ConfigError("replay", "mode is target, which replays nothing: leave the replay collection out, or set "
                          "mode to auto or replay")
    return given


def split_templates(text: str) -> tuple[str, ...]:
    """Return a person's own templates, one a line.

    Raises:
        ConfigError: when there are none, or a line has no {} for the name.
    """
    lines = tuple(line.strip() for line in text.splitlines() if line.strip())
    if not lines:
        raise ConfigError("own_templates", "empty; give one template a line, as in: a photo of a {}.")
    for line in lines:
        if "{}" not in line:
            raise ConfigError("own_templates", f"{line!r} has no {{}} where the name goes; write: {line} {{}}")
    return lines


def _check_together(settings: Settings) -> None:
    """Refuse settings that are each allowed but not together."""
    if isinstance(settings, FinetuneSettings) and settings.mixed_only and settings.mixing == "none":
        raise ConfigError("mixed_only", "there would be no mixed images: choose cutmix, mixup or both, or switch it "
                          "off")
    if isinstance(settings, MaectSettings) and settings.oracle and settings.nearest == 0:
        raise ConfigError("oracle", "nothing is looked up where nearest is 0, so labels would teach nothing: raise "
                          "nearest, or switch it off")
    if isinstance(settings, MaectSettings) and settings.pretraining_detached and settings.pretraining_contrast_weight:
        raise ConfigError("pretraining_detached", "the contrast then teaches the head alone, whatever its weight: set "
                          "pretraining_contrast_weight 0, or switch it off")
    if isinstance(settings, ZeroShotSettings | MustSettings) and settings.templates == "own":
        split_templates(settings.own_templates)
    if isinstance(settings, TurtleSettings) and settings.classes_to and settings.classes_from > settings.classes_to:
        raise ConfigError("classes_from", f"{settings.classes_from} is above the most classes to try, "
                          f"{settings.classes_to}")
