"""The best one-to-one match of two ways to sort the same images: the Hungarian algorithm. No torch: the web needs it.

Shapes: C clusters of one, K classes of the other.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def best_match(together: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows and the columns, min(C, K) of each, whose one-to-one match holds as many images as any can.

    Args:
        together: images in each cluster and class, (C, K).
    """
    from scipy.optimize import linear_sum_assignment  # slow to load: only where groups are matched

    rows, columns = linear_sum_assignment(np.asarray(together), maximize=True)
    return rows, columns
