"""The sheet of typical images: the right images in the right rows, under the right names."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from core.data.images import ImageSet
from core.evaluation.drawing import GAP_PX
from core.evaluation.typical import GROUPS, IMAGES, TILE_PX, draw_typical
from core.pictures import Pictures

STEP = TILE_PX + GAP_PX


def shades(folder: Path, count: int) -> ImageSet:
    """Write images whose red says which they are."""
    paths = tuple(folder / f"{number}.png" for number in range(count))
    for number, path in enumerate(paths):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(path)
    return ImageSet(paths, tuple(path.name for path in paths))


def drawn(folder: Path, distances: torch.Tensor, names: list[str]) -> tuple[Pictures, list[list[int]]]:
    """Draw; return which images stand in each row."""
    pictures, beats = Pictures(folder / "pictures"), []
    draw_typical(pictures, shades(folder, len(distances)), distances, names, title="Nearest", measure="nearest",
                 beat=lambda: beats.append(1))
    with Image.open(pictures.file(pictures.drawn[0])) as sheet:
        rows, columns = (sheet.height + GAP_PX) // STEP, (sheet.width + GAP_PX) // STEP
        seen = [[sheet.getpixel((column * STEP + 9, row * STEP + 9)) for column in range(columns)]
                for row in range(rows)]
    assert len(beats) == rows, "a person can stop it between rows"
    return pictures, [[red for red, green, _ in row if not green] for row in seen]  # white is no image


def test_each_group_shows_its_nearest_images_the_nearest_first(tmp_path: Path) -> None:
    distances = torch.full((20, 3), 9.0)
    distances[torch.arange(12), 0] = torch.arange(12, 0, -1) / 2  # image 11 is nearest
    distances[torch.arange(12, 20), 2] = torch.tensor([3, 1, 2, 8, 7, 6, 5, 4]) / 2.0
    pictures, rows = drawn(tmp_path, distances, ["cat", "dog", "owl"])
    assert rows == [[11, 10, 9, 8, 7, 6], [13, 14, 12, 19, 18, 17]]
    assert pictures.drawn[0].rows == ("cat", "owl"), "a group without images has no row"
    assert pictures.drawn[0].caption.startswith("Each row is one group; shown are the images nearest")


def test_of_many_groups_the_largest_are_shown(tmp_path: Path) -> None:
    groups = torch.cat([torch.arange(GROUPS + 3), torch.arange(3, GROUPS + 3)])  # the first three have one image each
    distances = 1 - torch.nn.functional.one_hot(groups).float()
    pictures, rows = drawn(tmp_path, distances, [f"cluster {number}" for number in range(1, GROUPS + 4)])
    assert len(rows) == GROUPS and all(len(row) == 2 <= IMAGES for row in rows)
    assert pictures.drawn[0].rows[0] == "cluster 4"
    assert f"one of the {GROUPS} largest groups" in pictures.drawn[0].caption


@pytest.mark.parametrize("count", [1, 4])
def test_one_group_of_few_images_is_drawn_too(tmp_path: Path, count: int) -> None:
    _, rows = drawn(tmp_path, torch.rand(count, 1, generator=torch.Generator().manual_seed(0)), ["cat"])
    assert sorted(rows[0]) == list(range(count))
