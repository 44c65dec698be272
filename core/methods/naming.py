"""What clusters are called: by the class names given, or by suggestions from a list of everyday words.

Both read the images through a backbone with a text tower, in which an image and a sentence can be
compared.

Shapes: N images, K classes or clusters, V words, E embedding width.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional

from core.backbones.clip import ClipBackbone
from core.methods.spaces import Space
from core.methods.zeroshot import class_embeddings, template_sentences

VOCABULARY = Path(__file__).parent / "vocabulary.txt"
NAME_TEMPLATES, WORD_TEMPLATES = "simple-7", "one"
"""Fewer than zero-shot's 80: a name must only win against K - 1 others for a whole cluster, and large
text towers take minutes for 80 sentences a name on a CPU."""
SUGGESTIONS = 5


def match_names(labeling: Tensor, answers: Tensor, labels: Tensor | None = None) -> list[int]:
    """Return which cluster each name goes to: K indices, each once.

    The one-to-one match (Hungarian algorithm) under which most images are named as the text
    classifier would name them. Both sides count softly, by probability.

    A person's word comes before the text's guess: of all matches, one under which most labelled images are
    named as the person did; only where several are equal in that, as for clusters without a labelled image,
    the text chooses. So a cluster has the name that most of its labelled images have, unless another has more.

    Args:
        labeling: of each image over clusters, (N, K).
        answers: of each image over names, (N, K).
        labels: the name that a person gave each image, (N,), -1 = none; None for the text alone.
    """
    together = (answers.T.double() @ labeling.double()).cpu().numpy()  # (K names, K clusters)
    if labels is not None:
        known = (labels >= 0).cpu()
        votes = np.zeros_like(together)
        np.add.at(votes, (labels.cpu()[known].numpy(), labeling.argmax(dim=1).cpu()[known].numpy()), 1)
        together = votes + together / (len(labels) + 1)  # the text's part of a match is below 1, less than any vote
    _, clusters = linear_sum_assignment(together, maximize=True)
    return [int(cluster) for cluster in clusters]


def name_clusters(labeling: Tensor, spaces: Sequence[Space], class_names: Sequence[str],
                  labels: Tensor | None = None) -> list[int]:
    """Return which cluster each class name goes to: by labels, if any (see `match_names`), and by the first of the
    spaces that reads text.
    """
    space, backbone = _with_text(spaces)
    weight = class_embeddings(backbone, class_names, template_sentences(NAME_TEMPLATES)).to(labeling.device)
    logits = backbone.logit_scale * functional.normalize(space.features, dim=1) @ weight
    return match_names(labeling, logits.softmax(dim=1), labels)


def suggest_names(labels: Tensor, num_clusters: int, spaces: Sequence[Space]) -> list[list[str]]:
    """Return names for each cluster, best first, from the vocabulary; none for a cluster without images.

    A word suits a cluster by the angle between what sets its images apart from all images and what
    sets the word apart from all words: what a whole collection has in common describes no cluster,
    and a word near to every image would be suggested for each.

    Args:
        labels: cluster of each image (N,).
        num_clusters: K.
        spaces: the first that reads text is used.
    """
    space, backbone = _with_text(spaces)
    words = vocabulary()
    weight = class_embeddings(backbone, words, template_sentences(WORD_TEMPLATES)).to(space.features.device)  # (E, V)
    apart = functional.normalize(weight - weight.mean(dim=1, keepdim=True), dim=0)
    images = functional.normalize(space.features, dim=1)
    images = images - images.mean(dim=0)
    suggested = []
    for cluster in range(num_clusters):
        chosen = images[labels.to(images.device) == cluster]
        best = (chosen.mean(dim=0) @ apart).topk(SUGGESTIONS).indices.tolist() if len(chosen) else []
        suggested.append([words[index] for index in best])
    return suggested


def vocabulary() -> tuple[str, ...]:
    """Return the built-in words: everyday nouns, one a line."""
    return tuple(line for line in VOCABULARY.read_text(encoding="utf-8").splitlines() if line)


def _with_text(spaces: Sequence[Space]) -> tuple[Space, ClipBackbone]:
    """Return the first space that reads text, with its backbone."""
    for space in spaces:
        if isinstance(space.backbone, ClipBackbone):
            return space, space.backbone
    raise ValueError("none of the spaces reads text")
