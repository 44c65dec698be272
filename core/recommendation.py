"""Which method and which foundation model to take for a question, and why. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.catalog import BACKBONES, METHODS
from core.cost import Cost, cost
from core.evaluation.guard import is_hardly_confirmed
from core.presets.table import recommend
from core.question import Question
from core.settings import Value, defaults, describe

LABELS_PER_CLASS = 4
"""So many Semi-MAE was measured with (`docs/results.md`). Groups that so few labels name are right less often."""
FEW_IMAGES = 50
"""Below this a method sees too little of each class to learn from it."""
LARGER = ("clip-vit-l14", "clip-vit-b16", "mae-vit-b16", "dinov2-vit-b14")
"""What to work with in earnest in a starter's place, the best known first; a method is offered those that it takes."""
WORTH_WAITING_SECONDS = 3600.0
"""The first of `LARGER` that takes no longer is named; else the one that takes least."""


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """A method and one sentence of why."""

    method: str
    reason: str

    @property
    def title(self) -> str:
        """Return what the method is called."""
        return METHODS[self.method].title


def recommend_method(question: Question) -> Recommendation:
    """Choose the method a person most likely wants."""
    few = question.num_images < FEW_IMAGES
    if 0 < question.num_images < len(question.class_names):
        return Recommendation(method="zeroshot", reason=(
            f"You gave {len(question.class_names):,} names for {question.num_images:,} images. Zero-shot reads them "
            "all; shorten the list to those that it finds, and other methods can learn from your photographs."))
    if question.class_names and few:
        return Recommendation(method="zeroshot", reason=(
            f"With {question.num_images} images there is too little to learn from; reading your class names "
            "answers them at once."))
    if question.class_names and question.confirmed is not None and is_hardly_confirmed(
            question.confirmed, len(question.class_names)):
        if question.labels_per_class >= LABELS_PER_CLASS:
            return Recommendation(method="semimae", reason=(
                "Zero-shot's answers hardly fit the groups that your images form, but you labelled at least "
                f"{question.labels_per_class} images of every class: Semi-MAE learns from those, and from all others "
                "besides."))
        named = ("calls each what you labelled of it" if question.labelled else
                 "gives each the name that fits best; a few images that you label in review name them better")
        return Recommendation(method="turtle", reason=(
            "Zero-shot's answers hardly fit the groups that your images form, so there is little to learn from the "
            f"names. TURTLE finds the groups themselves, and {named}."))
    if question.class_names:
        return Recommendation(method="must", reason=(
            f"You gave {len(question.class_names)} class names and {question.num_images:,} images: it starts from "
            "the names, previews zero-shot answers in seconds, then learns from your own photographs."))
    if few and question.num_classes:
        return Recommendation(method="kmeans", reason=(
            f"With {question.num_images} images there is too little to learn from; k-means groups them at once."))
    if question.num_classes:
        return Recommendation(method="turtle", reason=(
            f"You gave no names but know there are {question.num_classes} classes: it finds the "
            "groups your photographs fall into."))
    return Recommendation(method="turtle", reason=(
        "You gave neither names nor a number: it tries several numbers of classes and suggests the likeliest."))


@dataclass(frozen=True, kw_only=True)
class LargerModel:
    """A foundation model to take in a bundled starter's place, and what a run with it costs.

    Attributes:
        backbone: a key of `core.catalog.BACKBONES`.
        setting: the setting that names it.
        cost: of a run with the settings that are recommended for it.
        on_gpu: whether that is on a GPU.
    """

    backbone: str
    setting: str
    cost: Cost
    on_gpu: bool

    @property
    def title(self) -> str:
        """Return what it is called."""
        return BACKBONES[self.backbone].title

    def __str__(self) -> str:
        takes = self.cost.in_words(self.on_gpu)
        where = "on the GPU here" if self.on_gpu else "here, without a GPU"
        return (f"The bundled starters are small, there so that everything works at once. "
                f"{self.title} knows far more; with it this would take {takes} {where}, and its "
                "weights are fetched once.")


def larger_model(method: str, settings: Mapping[str, Value], question: Question, on_gpu: bool | None,
                 num_further: int = 0) -> LargerModel | None:
    """Return the foundation model to take where `settings` choose a bundled starter.

    None where they choose another already, the method takes no larger one, or nobody knows whether there is a GPU.

    Args:
        method: a key of `core.catalog.METHODS`.
        settings: a run's.
        question: with the number of images.
        on_gpu: whether the runs here are done on a GPU; None where there is no telling.
        num_further: images of further collections.
    """
    known = describe(METHODS[method].settings)
    setting = "spaces" if "spaces" in known else "backbone"
    chosen = BACKBONES.get(str(settings.get(setting)))
    if on_gpu is None or chosen is None or chosen.pretrained != "bundled":
        return None
    found = [
        LargerModel(backbone=backbone, setting=setting, on_gpu=on_gpu, cost=cost(method, {
            **defaults(METHODS[method].settings), **recommend(method, question.num_images + num_further, backbone)[1],
            setting: backbone}, question, num_further))
        for backbone in LARGER if backbone in known[setting].choices]
    quick = [one for one in found if one.cost.seconds(on_gpu) <= WORTH_WAITING_SECONDS]
    return quick[0] if quick else min(found, key=lambda one: one.cost.seconds(on_gpu), default=None)
