"""The most typical images of each group: the quickest way to see what a group is.

Shapes: N images, K groups.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from core.data.images import ImageSet
from core.evaluation.drawing import sheet
from core.pictures import Picture, Pictures

GROUPS, IMAGES, TILE_PX = 12, 6, 112
"""The largest groups, some images of each."""


def draw_typical(pictures: Pictures, images: ImageSet, distances: Tensor, names: Sequence[str], *, title: str,
                 measure: str, beat: Callable[[], None]) -> None:
    """Draw a sheet with a row a group: the images that the group has nearest, the nearest first.

    Args:
        pictures: where it is left.
        images: N.
        distances: (N, K), from each image to each group; an image belongs to its nearest.
        names: of the groups, K.
        title: of the picture.
        measure: what puts an image first, to follow "shown are the images".
        beat: called often; may raise to stop.
    """
    nearest, groups = distances.min(dim=1)
    counts = torch.bincount(groups, minlength=len(names))
    largest = [int(one) for one in counts.argsort(descending=True, stable=True)[:GROUPS] if counts[one]]
    rows = []
    for group in sorted(largest):
        members = (groups == group).nonzero()[:, 0]
        first = members[nearest[members].argsort(stable=True)[:IMAGES]].tolist()
        rows.append([images.load(index, TILE_PX) for index in first])
        beat()
    which = "Each row is one group" if len(largest) == int((counts > 0).sum()) else (
        f"Each row is one of the {len(largest)} largest groups")
    pictures.draw(Picture(
        name="typical", title=title, rows=tuple(names[group] for group in sorted(largest)),
        caption=f"{which}; shown are the images {measure}, the most typical first. A row of things that do not belong "
                "together is a group to look at in Review."), sheet(rows, TILE_PX))
