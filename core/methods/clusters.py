"""Clusters of standardised features, as the paper of MAE-CT measures them (appendix E).

N images, D features, K clusters.

Every feature is given mean 0 and deviation 1; mini-batch k-means is started many times, and the start
with the lowest loss is kept.
"""

from __future__ import annotations

import dataclasses
import math
import warnings
from dataclasses import dataclass

import torch
from sklearn.cluster import MiniBatchKMeans
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from core.backbones.vit import TimmBackbone
from core.classifier import Member
from core.methods.kmeans import confidence_sharpness
from core.methods.spaces import Space
from core.run import Progress, Run
from core.threads import few_threads

BATCH_SIZE = 1024
SMALLEST_DEVIATION = 1e-6


@dataclass(frozen=True, kw_only=True)
class Clusters:
    """Where the clusters are, and what they say of the images.

    Attributes:
        mean, deviation: (D,) of each feature.
        centres: (K, D), standardised.
        sharpness: see `core.methods.kmeans.confidence_sharpness`.
        probabilities: (N, K).
    """

    mean: Tensor
    deviation: Tensor
    centres: Tensor
    sharpness: float
    probabilities: Tensor

    @property
    def labels(self) -> Tensor:
        """Return the cluster of each image, (N,)."""
        return self.probabilities.argmax(dim=1)

    def in_order(self, order: list[int]) -> Clusters:
        """Return the same clusters, cluster ``order[k]`` as the k-th."""
        return dataclasses.replace(self, centres=self.centres[order], probabilities=self.probabilities[:, order])

    def member(self, backbone: TimmBackbone) -> Member:
        """Return the linear head whose softmax gives these probabilities.

        -β |z - c|² = 2 β z·c - β |c|² - β |z|² with z = (f - mean) / deviation; the last term is the same for
        all clusters, the rest is linear in the feature f.
        """
        weight = 2 * self.sharpness * self.centres / self.deviation  # (K, D)
        bias = -weight @ self.mean - self.sharpness * self.centres.square().sum(dim=1)
        return Member(backbone=backbone, weight=weight.T.cpu(), bias=bias.cpu())


def standardised_clusters(space: Space, num_clusters: int, starts: int, run: Run) -> Clusters:
    """Return the best of several starts; one step of the run a start."""
    found = space.features
    mean, deviation = found.mean(dim=0), found.std(dim=0).clamp_min(SMALLEST_DEVIATION)
    points = (found - mean) / deviation  # (N, D)
    seeds = torch.randint(2**31 - 1, (starts,), generator=run.generator("starts")).tolist()
    array = points.cpu().numpy()
    inertia, centres = math.inf, torch.empty(0)
    for start, seed in enumerate(seeds):
        run.report(Progress(stage="grouping", step=start, total=starts))
        with warnings.catch_warnings(), few_threads(array.size):
            warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct images than clusters: counted later
            model = MiniBatchKMeans(num_clusters, n_init=1, batch_size=BATCH_SIZE, random_state=seed).fit(array)
        if model.inertia_ < inertia:
            inertia, centres = float(model.inertia_), torch.from_numpy(model.cluster_centers_).float()
    centres = centres.to(points.device)
    squared = torch.cdist(points, centres).square()  # (N, K)
    sharpness = confidence_sharpness(points - centres[squared.argmin(dim=1)])
    run.report(Progress(stage="grouping", step=starts, total=starts))
    return Clusters(mean=mean, deviation=deviation, centres=centres, sharpness=sharpness,
                    probabilities=(-sharpness * squared).softmax(dim=1))
