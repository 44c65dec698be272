"""Zero-shot classification: class names, put into sentences, are read as a linear classifier.

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021
(arXiv:2103.00020).

Shapes: K classes, E embedding width.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import core.torchvision_schemas  # noqa: F401

import open_clip
import torch
from torch import Tensor
from torch.nn import functional

from core.backbones.clip import SENTENCES_AT_ONCE, ClipBackbone
from core.backbones.load import load_backbone
from core.backbones.start import Start
from core.catalog import ZeroShotSettings, split_templates
from core.classifier import Classifier, Member
from core.errors import ConfigError, DataError
from core.problem import Problem
from core.run import Progress, Run


def adapt(settings: ZeroShotSettings, problem: Problem, run: Run) -> Classifier:
    """Return the classifier that the class names describe; the images are not looked at."""
    if not problem.class_names:
        raise DataError("classes", "zero-shot reads class names; give them, or choose k-means or TURTLE")
    templates = template_sentences(settings.templates, settings.own_templates)
    backbone = load_text_backbone(settings.backbone, problem.start).to(run.device)
    total = len(problem.class_names)

    def report(done: int) -> None:
        run.report(Progress(stage="reading class names", step=done, total=total))

    weight = class_embeddings(backbone, problem.class_names, templates, report)
    member = Member(backbone=backbone, weight=weight.cpu(), normalise=True, scale=backbone.logit_scale)
    return Classifier(members=(member,), class_names=problem.class_names, method="zeroshot",
                      settings=dataclasses.asdict(settings))


def load_text_backbone(name: str, start: Start | None = None) -> ClipBackbone:
    """Load a backbone that reads class names, with the images' encoder of `start` where one is given.

    Raises:
        ConfigError: for one that has no text tower.
    """
    backbone = load_backbone(name, start)
    if not isinstance(backbone, ClipBackbone):
        raise ConfigError("backbone", f"{name} cannot read class names; choose one of the CLIP family")
    return backbone


def template_sentences(choice: str, own: str = "") -> tuple[str, ...]:
    """Return templates with {} where the name goes: "one", "simple-7", "openai-80", or a person's "own"."""
    if choice == "own":
        return split_templates(own)
    if choice == "one":
        return ("a photo of a {}.",)
    shipped = {"simple-7": open_clip.SIMPLE_IMAGENET_TEMPLATES, "openai-80": open_clip.OPENAI_IMAGENET_TEMPLATES}
    return tuple(template("{}") for template in shipped[choice])


@torch.no_grad()
def class_embeddings(backbone: ClipBackbone, names: Sequence[str], templates: Sequence[str],
                     on_names: Callable[[int], None] = lambda done: None) -> Tensor:
    """Return one unit vector a class, (E, K): the normalised mean of its sentences' unit vectors.

    Args:
        backbone: reads the sentences where its weights are.
        names: of the K classes.
        templates: each with {} where the name goes.
        on_names: called with the number of names read, up to K, to report progress or to cancel.
    """
    names_at_once = max(1, SENTENCES_AT_ONCE // len(templates))
    parts = []
    for first in range(0, len(names), names_at_once):
        some = names[first : first + names_at_once]
        sentences = [template.replace("{}", name) for name in some for template in templates]
        each = functional.normalize(backbone.encode_text(sentences).float(), dim=1)
        mean = each.view(len(some), len(templates), -1).mean(dim=1)  # (names, E)
        parts.append(functional.normalize(mean, dim=1))
        on_names(first + len(some))
    return torch.cat(parts).T.contiguous()
