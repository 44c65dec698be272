"""A map of a collection: a place in the plane for each image, so that images with similar features lie together.

Shapes: N images, D features.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from torch import Tensor
from torch.nn import functional

MAP_COMPONENTS = 50
MAP_NEIGHBOURS_UP_TO = 3_000
"""More images than this are placed by their two main directions: t-SNE would take longer than adapting."""
SMALLEST_DEVIATION = 1e-6
"""Of features of unit length: less is rounding. Of images without any difference t-SNE kills the process."""


def map_places(features_of_images: Tensor, seed: int) -> NDArray[np.float64]:
    """Return a place (N, 2) in 0 … 1 for each image, so that images with similar features (N, D) lie together.

    Where no feature tells them apart, all lie in the middle.
    """
    points = functional.normalize(features_of_images, dim=1).numpy().astype(np.float64)
    count = len(points)
    if points.std(axis=0).max() < SMALLEST_DEVIATION:
        return np.full((count, 2), 0.5)
    components = min(MAP_COMPONENTS, count, points.shape[1])
    solver = "randomized" if components < min(points.shape) else "full"
    reduced = PCA(components, random_state=seed, svd_solver=solver).fit_transform(points)
    places = reduced[:, :2] if reduced.shape[1] > 1 else np.hstack([reduced, np.zeros_like(reduced)])
    if 5 <= count <= MAP_NEIGHBOURS_UP_TO:
        places = TSNE(2, perplexity=min(30.0, (count - 1) / 3), init="pca", random_state=seed).fit_transform(reduced)
    low, high = places.min(axis=0), places.max(axis=0)
    scaled: NDArray[np.float64] = (places - low) / np.maximum(high - low, 1e-12)
    return scaled.astype(np.float64)

