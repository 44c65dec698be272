"""What a model was before it was adapted: its foundation models, and the zero-shot classifier of its class names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.backbones.clip import ClipBackbone
from core.backbones.load import load_backbone
from core.backbones.vit import TimmBackbone
from core.catalog import ZeroShotSettings, answers_in_groups
from core.classifier import Classifier, Member, cluster_names
from core.methods.zeroshot import class_embeddings, template_sentences


def zero_shot(backbone: ClipBackbone, class_names: Sequence[str], settings: Mapping[str, Any]) -> Classifier:
    """Return the classifier that class names make of a CLIP model, by the templates that `settings` name, if any."""
    plain = ZeroShotSettings()
    templates = template_sentences(str(settings.get("templates", plain.templates)),
                                   str(settings.get("own_templates", plain.own_templates)))
    weight = class_embeddings(backbone, class_names, templates)
    member = Member(backbone=backbone, weight=weight.cpu(), normalise=True, scale=backbone.logit_scale)
    return Classifier(members=(member,), class_names=tuple(class_names), method="zeroshot")


def zero_shot_twin(classifier: Classifier) -> Classifier | None:
    """Return the zero-shot classifier of an adapted model's backbone and class names.

    None for one of several backbones, of one that reads no class names, or of groups: their names, if any, are a guess.

    Raises:
        WeightsUnavailable: when the foundation model cannot be had.
    """
    backbone = classifier.members[0].backbone
    if (len(classifier.members) > 1 or not isinstance(backbone, ClipBackbone)
            or answers_in_groups(classifier.method, classifier.settings)
            or classifier.class_names == cluster_names(len(classifier.class_names))):
        return None
    whole = load_backbone(backbone.name)
    return zero_shot(whole, classifier.class_names, classifier.settings) if isinstance(whole, ClipBackbone) else None


def foundation_models(classifier: Classifier) -> tuple[ClipBackbone | TimmBackbone, ...]:
    """Return the backbones of an adapted model as they were published, pooled as the adapted ones are.

    Raises:
        WeightsUnavailable: when one cannot be had.
    """
    found = []
    for member in classifier.members:
        whole = load_backbone(member.backbone.name)
        if isinstance(whole, TimmBackbone) and isinstance(member.backbone, TimmBackbone):
            whole.pooling = member.backbone.pooling
        found.append(whole)
    return tuple(found)
