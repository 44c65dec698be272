"""k-means on normalised frozen features, concatenated over spaces: the baseline where no names are given.

Shapes: N images, D features of all spaces together, K clusters.
"""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Callable, Sequence
from functools import partial

import torch
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor
from torch.nn import functional

from core.catalog import KMeansSettings
from core.classifier import Classifier, Member, cluster_names
from core.errors import DataError
from core.evaluation.typical import draw_typical
from core.methods.identity import identity, kept_state
from core.methods.labelled import asked_labels
from core.methods.naming import name_clusters, suggest_names
from core.methods.spaces import Space, names_to_read, read_spaces
from core.problem import Problem
from core.run import Progress, Run
from core.settings import split_list
from core.threads import few_threads

SMALLEST_VARIANCE = 1e-6


def adapt(settings: KMeansSettings, problem: Problem, run: Run) -> Classifier:
    """Return the classifier whose answers are the assignment of the best of several starts."""
    if problem.count is None:
        raise DataError("classes", "k-means needs to know how many; give a number or names, or choose TURTLE")
    problem.check_count()
    known = asked_labels(settings, problem)
    chosen = split_list(settings.spaces)
    read = names_to_read(chosen)
    start_steps = len(problem.images) // 10 + 1  # a start takes about as long as reading so many images
    first_step = len(read) * len(problem.images)
    total = first_step + settings.starts * start_steps + 1
    every = read_spaces(read, problem, run, total, settings.batch_size)
    spaces = every[: len(chosen)]
    together = torch.cat([functional.normalize(space.features, dim=1) for space in spaces], dim=1)  # (N, D)

    def report(done: int) -> None:
        run.report(Progress(stage="grouping", step=first_step + done * start_steps, total=total))

    own = identity(settings, problem, run.seed)
    centres = best_start(together, problem.count, settings.starts, run, own, report)  # (K, D)
    squared = torch.cdist(together, centres).square()  # (N, K)
    labels = squared.argmin(dim=1)
    sharpness = confidence_sharpness(together - centres[labels])
    found: dict[str, object] = {"clusters_found": len(labels.unique())}
    if problem.class_names:
        order = name_clusters((-sharpness * squared).softmax(dim=1), every, problem.class_names, known)
        centres, squared = centres[order], squared[:, order]
    else:
        found["suggested_names"] = suggest_names(labels, problem.count, every)
    names = problem.class_names or cluster_names(problem.count)
    draw_typical(run.pictures, problem.images, squared, names, title="The images nearest to each group's centre",
                 measure="nearest to the group's centre",
                 beat=partial(run.report, Progress(stage="naming", step=total, total=total)))
    return Classifier(
        members=members_of(spaces, centres, sharpness), combination="sum_of_logits", method="kmeans",
        class_names=names, settings={**dataclasses.asdict(settings), **found})


def best_start(points: Tensor, num_clusters: int, starts: int, run: Run, own: str,
               report: Callable[[int], None]) -> Tensor:
    """Return the centres (K, D) with the lowest sum of squared distances over several seeded starts.

    Each start is saved as it ends, under the identity `own`; `report` is called with the number done.
    """
    kept = kept_state(run, own) or {"done": 0, "inertia": math.inf, "centres": torch.empty(0)}
    done, inertia, centres = int(kept["done"]), float(kept["inertia"]), kept["centres"]
    seeds = torch.randint(2**31 - 1, (starts,), generator=run.generator("starts")).tolist()
    array = points.cpu().numpy()
    report(done)
    for start in range(done, starts):
        with warnings.catch_warnings(), few_threads(array.size):
            warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct images than clusters: counted later
            model = KMeans(num_clusters, n_init=1, max_iter=1000, random_state=seeds[start]).fit(array)
        if model.inertia_ < inertia:
            inertia, centres = float(model.inertia_), torch.from_numpy(model.cluster_centers_).float()
        state = {"identity": own, "done": start + 1, "inertia": inertia, "centres": centres}
        run.checkpoints.save(state, step=start + 1)
        report(start + 1)
    best: Tensor = centres.to(points.device)
    return best


def confidence_sharpness(residuals: Tensor) -> float:
    """Return β such that the softmax of -β times squared distances is a sensible confidence.

    k-means has no confidences of its own. It is the limit of a mixture of equal round Gaussians,
    whose posterior is that softmax with β = 1 / (2 σ²). Features do not vary alike in all D
    directions, so σ² is the variance within clusters (its trace T) over the number of directions
    that it effectively has, (tr S)² / tr S² of the covariance S: with D in its place, every answer
    would be certain; with 1, none.

    Args:
        residuals: of each image from its centre, (N, D).
    """
    covariance = residuals.T @ residuals / len(residuals)
    trace = float(covariance.trace())
    if trace < SMALLEST_VARIANCE:
        return 0.5 / SMALLEST_VARIANCE
    return trace / (2 * float(covariance.square().sum()))


def members_of(spaces: Sequence[Space], centres: Tensor, sharpness: float) -> tuple[Member, ...]:
    """Return one linear head a space, whose logits add up to the negative squared distance.

    -β |z - c|² = 2 β z·c - β |c|² - β |z|², where the last term is the same for all clusters; over
    concatenated spaces the first two are sums over spaces.
    """
    parts = centres.split([space.features.shape[1] for space in spaces], dim=1)
    return tuple(
        Member(backbone=space.backbone, weight=2 * sharpness * part.T.cpu(),
               bias=-sharpness * part.square().sum(dim=1).cpu(), normalise=True)
        for space, part in zip(spaces, parts, strict=True))
