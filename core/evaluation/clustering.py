"""What k-means finds in frozen features, and how far true classes lie apart in them.

Lehner et al., 2023, arXiv:2304.10520, appendix E: features are standardised, mini-batch k-means runs 100
times with as many clusters as there are classes, and the run with the lowest loss counts; the mean is reported
too. Silhouette (Rousseeuw, 1987) is that of the true classes (their Table 2). BCubed precision of k-means is
the clustering accuracy of Li et al., "Unsupervised finetuning", 2021, section 5.

Shapes: N images, D features, K clusters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import silhouette_score

from core.errors import DataError
from core.evaluation import metrics
from core.evaluation.drawing import sheet
from core.evaluation.evidence import Evidence, Finding, spread
from core.methods.clusters import Start, kmeans_starts
from core.run import Run
from core.threads import few_threads

STARTS = 100
SMALLEST_DEVIATION = 1e-6
SILHOUETTE_IMAGES = 5_000
"""More are sampled: every pair of images is compared."""
SHOWN, TILE_PX = 10, 64


@dataclass(frozen=True, kw_only=True)
class Grouping:
    """The best of all starts, its points (N, D) and each start's match with the truth."""

    points: NDArray[np.float32]
    best: Start
    accuracies: tuple[float, ...]


def standardised(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return features (N, D) with mean 0 and deviation 1 each; those that never change stay 0."""
    scaled: NDArray[np.float32] = (features - features.mean(axis=0)) / np.maximum(features.std(axis=0),
                                                                                  SMALLEST_DEVIATION)
    return scaled


def group(features: NDArray[np.float32], truth: NDArray[np.integer], run: Run, starts: int = STARTS) -> Grouping:
    """Run k-means `starts` times on features (N, D), with as many clusters as `truth` (N,) has classes."""
    points = standardised(features)
    found = list(kmeans_starts(points, len(np.unique(truth)), starts, run))
    return Grouping(points=points, best=min(found, key=lambda one: one.inertia),
                    accuracies=tuple(metrics.hungarian_accuracy(one.labels, truth) for one in found))


def clusters(evidence: Evidence) -> Finding:
    """Measure how well the clusters of k-means match the true classes."""
    found, truth = group(evidence.features, evidence.truth, evidence.run), evidence.truth
    labels = found.best.labels
    return Finding(figures={
        "cluster_accuracy": metrics.hungarian_accuracy(labels, truth),
        **spread("cluster_accuracy_of_starts", found.accuracies),
        "nmi": metrics.nmi(labels, truth), "ami": metrics.ami(labels, truth), "ari": metrics.ari(labels, truth),
        "bcubed_precision": metrics.bcubed_precision(labels, truth)})


def silhouette(evidence: Evidence) -> Finding:
    """Measure how much nearer each image is to its own class than to the next, -1 … 1.

    Raises:
        DataError: where there is no second class, or a class an image.
    """
    points, truth = standardised(evidence.features), evidence.truth
    if not 2 <= len(evidence.class_names) < len(truth):
        raise DataError("truth", f"{len(evidence.class_names)} classes of {len(truth)} images: silhouette needs two or "
                                 "more, and fewer than images")
    size = SILHOUETTE_IMAGES if len(truth) > SILHOUETTE_IMAGES else None
    with few_threads(points.size):
        found = silhouette_score(points, truth, sample_size=size, random_state=evidence.run.seed)
    return Finding(figures={"silhouette": float(found)}, images=size)


def centroids(evidence: Evidence) -> Finding:
    """Show the ten images nearest to each centre of k-means, a row a cluster (Lehner et al., Figures 7 and 10)."""
    found = group(evidence.features, evidence.truth, evidence.run)
    rows = []
    for cluster, centre in enumerate(found.best.centres):
        away = np.linalg.norm(found.points - centre, axis=1)
        rows.append([int(one) for one in away.argsort(kind="stable") if found.best.labels[one] == cluster][:SHOWN])
    alike = [float((evidence.truth[row] == np.bincount(evidence.truth[row]).argmax()).mean()) for row in rows if row]
    pictures = [[evidence.pictures.load(one, 2 * TILE_PX) for one in row] for row in rows]
    return Finding(figures={"same_class_share": float(np.mean(alike))}, picture=sheet(pictures, TILE_PX),
                   table=[["cluster", "rank", "path", "true class"], *(
                       [cluster + 1, rank + 1, evidence.paths[one], evidence.true_names[one]]
                       for cluster, row in enumerate(rows) for rank, one in enumerate(row))])
