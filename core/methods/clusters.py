"""The clusters of an adapted backbone: found as the paper of MAE-CT measures them (appendix E), named, a classifier.

N images, D features, K clusters.

Every feature is given mean 0 and deviation 1; mini-batch k-means is started many times, and the start
with the lowest loss is kept.
"""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from core.backbones.clip import ClipBackbone
from core.backbones.features import features
from core.backbones.vit import TimmBackbone
from core.catalog import BACKBONES
from core.classifier import Classifier, Member, cluster_names
from core.evaluation.typical import draw_typical
from core.methods.kmeans import confidence_sharpness
from core.methods.labelled import fitted_head
from core.methods.naming import name_clusters, suggest_names
from core.methods.part import Part
from core.methods.spaces import NAMING_BACKBONE, Space, read_spaces
from core.problem import Problem
from core.run import Progress, Run
from core.threads import few_threads

BATCH_SIZE = 1024
READ_AT_ONCE = 256
SMALLEST_DEVIATION = 1e-6


@dataclass(frozen=True, kw_only=True)
class Clusters:
    """Where the clusters are, and what they say of the images.

    Attributes:
        mean, deviation: (D,) of each feature; the deviation of one that tells nothing, being constant, is infinite.
        centres: (K, D), standardised.
        sharpness: see `core.methods.kmeans.confidence_sharpness`.
        probabilities: (N, K).
    """

    mean: Tensor
    deviation: Tensor
    centres: Tensor
    sharpness: float
    probabilities: Tensor

    def distances(self, features: Tensor) -> Tensor:
        """Return the squared distance of features (N, D) from each centre, (N, K)."""
        return torch.cdist((features - self.mean) / self.deviation, self.centres).square()

    @property
    def labels(self) -> Tensor:
        """Return the cluster of each image, (N,)."""
        return self.probabilities.argmax(dim=1)

    def in_order(self, order: list[int]) -> Clusters:
        """Return the same clusters, cluster ``order[k]`` as the k-th."""
        return dataclasses.replace(self, centres=self.centres[order], probabilities=self.probabilities[:, order])

    def member(self, backbone: ClipBackbone | TimmBackbone) -> Member:
        """Return the linear head whose softmax gives these probabilities.

        -β |z - c|² = 2 β z·c - β |c|² - β |z|² with z = (f - mean) / deviation; the last term is the same for
        all clusters, the rest is linear in the feature f.
        """
        weight = 2 * self.sharpness * self.centres / self.deviation  # (K, D)
        bias = -weight @ self.mean - self.sharpness * self.centres.square().sum(dim=1)
        return Member(backbone=backbone, weight=weight.T.cpu(), bias=bias.cpu())


def reading_steps(num_images: int, batch_size: int) -> int:
    """Return for how many training steps reading the images twice counts: only forward, so a third of the time."""
    return max(1, 2 * num_images // (3 * batch_size))


def cluster_classifier(backbone: ClipBackbone | TimmBackbone, problem: Problem, num_clusters: int, run: Run, *,
                       method: str, settings: Mapping[str, object], starts: int, first: int,
                       reading: int, labels: Tensor | None = None) -> Classifier:
    """Return the classifier of the clusters that the problem's images form in an adapted backbone.

    With labels and the setting ``classifier_from: labels`` it is `fitted_head`'s, and the clusters are what it begins
    with.

    Clusters are named through the backbone as it was before where that reads text, else through the bundled one:
    an adapted image tower is no longer where its text tower looks.

    Args:
        backbone: in evaluation mode.
        problem: whose images and class names they are.
        num_clusters: K.
        run: told of the last ``reading + 1`` steps, from `first` on.
        method: of the classifier.
        settings: of the method, and what else the classifier's are to say.
        starts: of k-means.
        first: steps done.
        reading: see `reading_steps`.
        labels: (N,) a person's, -1 = none, by which clusters are named first (see `match_names`); None: text alone.
    """
    total, count = first + reading + 1, len(problem.images)
    part = Part(run, first=first, steps=reading, total=total)
    naming = backbone.name if BACKBONES[backbone.name].has_text else NAMING_BACKBONE
    read = features(backbone, problem.images, part, stage="reading images", total_steps=2 * count)
    space = Space(backbone=backbone, features=read.to(run.device))
    as_published = dataclasses.replace(problem, start=None)
    texts = read_spaces((naming,), as_published, part, 2 * count, READ_AT_ONCE, first_step=count)
    found = standardised_clusters(space, num_clusters, starts, Part(run, first=first + reading, steps=1, total=total))
    extra: dict[str, object] = {"clusters_found": len(found.labels.unique())}
    if problem.class_names:
        found = found.in_order(name_clusters(found.probabilities, texts, problem.class_names, labels))
    else:
        extra["suggested_names"] = suggest_names(found.labels, num_clusters, texts)
    names = problem.class_names or cluster_names(num_clusters)
    draw_typical(run.pictures, problem.images, found.distances(space.features), names,
                 title="The images nearest to each group's centre", measure="nearest to the group's centre",
                 beat=partial(run.report, Progress(stage="drawing", step=total, total=total)))
    member = found.member(backbone)
    if labels is not None and settings["classifier_from"] == "labels":
        head = fitted_head(backbone, space.features, labels, found.distances(space.features))
        member = head.member
        extra["unlabelled_classes"] = [names[one] for one in head.shown_by_group]
        extra["unanswered_classes"] = [names[one] for one in head.never_shown]
    return Classifier(members=(member,), method=method, class_names=names, settings={**settings, **extra})


@dataclass(frozen=True, kw_only=True)
class Start:
    """What one start of k-means came to: its loss, centres (K, D) and the cluster of each image (N,)."""

    inertia: float
    centres: NDArray[np.floating]
    labels: NDArray[np.integer]


def kmeans_starts(points: NDArray[np.floating], num_clusters: int, starts: int, run: Run) -> Iterator[Start]:
    """Yield seeded starts of mini-batch k-means on points (N, D), one step of the run each."""
    seeds = torch.randint(2**31 - 1, (starts,), generator=run.generator("starts")).tolist()
    for start, seed in enumerate(seeds):
        run.report(Progress(stage="grouping", step=start, total=starts))
        with warnings.catch_warnings(), few_threads(points.size):
            warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct images than clusters: counted later
            model = MiniBatchKMeans(num_clusters, n_init=1, batch_size=BATCH_SIZE, random_state=seed).fit(points)
        yield Start(inertia=float(model.inertia_), centres=model.cluster_centers_, labels=model.labels_)
    run.report(Progress(stage="grouping", step=starts, total=starts))


def standardised_clusters(space: Space, num_clusters: int, starts: int, run: Run) -> Clusters:
    """Return the best of several starts; one step of the run a start."""
    found = space.features
    mean, deviation = found.mean(dim=0), found.std(dim=0)
    is_constant = deviation <= SMALLEST_DEVIATION * mean.abs().clamp_min(1)  # what is left of it is rounding
    deviation = deviation.masked_fill(is_constant, torch.inf)
    points = (found - mean) / deviation  # (N, D)
    inertia, centres = math.inf, torch.empty(0)
    for one in kmeans_starts(points.cpu().numpy(), num_clusters, starts, run):
        if one.inertia < inertia:
            inertia, centres = one.inertia, torch.from_numpy(one.centres).float()
    centres = centres.to(points.device)
    squared = torch.cdist(points, centres).square()  # (N, K)
    sharpness = confidence_sharpness(points - centres[squared.argmin(dim=1)])
    return Clusters(mean=mean, deviation=deviation, centres=centres, sharpness=sharpness,
                    probabilities=(-sharpness * squared).softmax(dim=1))
