"""The stages of MAE-CT: further pretraining, preparing the head, contrastive tuning; what each shows and minimises.

Paper: Lehner et al., 2023, arXiv:2304.10520, section 4, Tables 3 and 4, appendix A.2.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.catalog import MaectSettings
from core.data.views import ContrastView, CropView, View

PRETRAINING, PREPARING, TUNING = "pretraining", "preparing the head", "contrastive tuning"
HEAD_TEMPERATURE = 0.15
"""Of the head's preparation, for every size and variant (appendix A.2)."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One stage: what it shows, how long, and what of the loss counts.

    Attributes:
        views: of each image, one or two.
        visible_share: of the patches.
        epochs: 0 leaves the stage out.
    """

    name: str
    views: tuple[View, ...]
    visible_share: float
    epochs: float
    nearest: int
    temperature: float
    contrast_weight: float
    reconstruction_weight: float = 0.0
    detached: bool = False


def plans(settings: MaectSettings, image_size_px: int) -> tuple[Plan, Plan, Plan]:
    """Return the three stages; one of no epochs is left out."""
    crop = CropView(image_size_px, settings.mirror)  # section 4.4: pretraining, combined too, keeps MAE's
    pair: tuple[View, ...] = (CropView(image_size_px, settings.mirror, smallest=settings.smallest_crop),) * 2
    if settings.augmentation == "strong":
        pair = (ContrastView(image_size_px, settings.mirror, False), ContrastView(image_size_px, settings.mirror, True))
    combined = settings.pretraining_contrast_weight > 0 or settings.pretraining_detached
    pretraining = Plan(
        name=PRETRAINING, views=(crop, crop) if combined else (crop,), epochs=settings.pretraining_epochs,
        visible_share=1 - settings.pretraining_mask_ratio, nearest=1, temperature=HEAD_TEMPERATURE,
        contrast_weight=1.0 if settings.pretraining_detached else settings.pretraining_contrast_weight,
        reconstruction_weight=1.0, detached=settings.pretraining_detached)
    preparing = Plan(
        name=PREPARING, views=pair, visible_share=1.0, epochs=settings.preparing_epochs,  # Table 3 masks CT alone
        nearest=min(1, settings.nearest), temperature=HEAD_TEMPERATURE, contrast_weight=1.0)
    tuning = Plan(
        name=TUNING, views=pair, visible_share=1 - settings.mask_ratio, epochs=settings.epochs,
        nearest=settings.nearest, temperature=settings.temperature, contrast_weight=1.0)
    return pretraining, preparing, tuning
