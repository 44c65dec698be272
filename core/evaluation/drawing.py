"""Pictures of what was measured: sheets of images, heat maps, scatter plots. Pillow alone.

Shapes: N points, K classes, H, W sides of an image.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps
from torch import Tensor

WHITE = (255, 255, 255)
GAP_PX, DOT_PX, CELL_PX, LARGEST_GRID_PX = 2, 2, 24, 4096
INK, GREY, FAINT, ACCENT = (64, 64, 72), (150, 150, 158), (232, 232, 236), (15, 118, 110)
CURVE_SIZE_PX, CURVE_BOX_PX, FONT_PX = (720, 420), (64, 24, 696, 340), 18
"""Width and height of a curve; left, top, right and bottom of what is inside its axes."""
HOT = np.array([[0, 0, 128], [0, 128, 255], [64, 255, 192], [255, 224, 0], [192, 0, 0]], dtype=np.float64)
"""Colours of a heat map from cold to hot."""


def sheet(rows: Sequence[Sequence[Image.Image]], tile_px: int) -> Image.Image:
    """Return images side by side in rows, each a square of `tile_px`, whole ones cropped at their centre."""
    step = tile_px + GAP_PX
    found = Image.new("RGB", (max(map(len, rows), default=1) * step - GAP_PX, max(1, len(rows)) * step - GAP_PX), WHITE)
    for down, row in enumerate(rows):
        for across, image in enumerate(row):
            found.paste(ImageOps.fit(image, (tile_px, tile_px)), (across * step, down * step))
    return found


def as_image(pixels: Tensor) -> Image.Image:
    """Return pixels (3, H, W) in [0, 1] as an image."""
    return Image.fromarray((pixels.permute(1, 2, 0) * 255).round().clamp(0, 255).byte().numpy())


def heated(image: Image.Image, heat: NDArray[np.floating]) -> Image.Image:
    """Return the image with a heat map (h, w) in 0 … 1 laid over it."""
    wide = Image.fromarray((heat * 255).clip(0, 255).astype(np.uint8)).resize(image.size, Image.Resampling.BICUBIC)
    place = np.asarray(wide) / 255 * (len(HOT) - 1)
    colours = np.stack([np.interp(place, np.arange(len(HOT)), HOT[:, channel]) for channel in range(3)], axis=2)
    return Image.blend(image.convert("RGB"), Image.fromarray(colours.astype(np.uint8)), 0.5)


def grid_of_shares(shares: NDArray[np.floating]) -> Image.Image:
    """Return shares (rows, columns) in 0 … 1 as a grid of squares, darker for more; the more, the smaller they are."""
    grey = Image.fromarray((255 - 255 * shares.clip(0, 1)).astype(np.uint8))
    grey.thumbnail((LARGEST_GRID_PX, LARGEST_GRID_PX), Image.Resampling.BOX)  # where there are more squares than pixels
    side_px = min(CELL_PX, LARGEST_GRID_PX // max(grey.size))
    return grey.resize((grey.width * side_px, grey.height * side_px), Image.Resampling.NEAREST).convert("RGB")


def scatter(places: NDArray[np.floating], classes: NDArray[np.integer], side_px: int = 480) -> Image.Image:
    """Return points (N, 2) in 0 … 1 as dots in the colour of their class (N,); -1 is grey."""
    found = Image.new("RGB", (side_px, side_px), WHITE)
    pen, room = ImageDraw.Draw(found), side_px - 8 * DOT_PX
    count = max(1, int(classes.max()) + 1)
    for (across, down), one in zip(4 * DOT_PX + places * room, classes):
        colour = (128, 128, 128) if one < 0 else tuple(
            round(255 * part) for part in colorsys.hsv_to_rgb(one / count, 0.9, 0.9 - 0.3 * (one % 2)))
        pen.ellipse((across - DOT_PX, down - DOT_PX, across + DOT_PX, down + DOT_PX), fill=colour)
    return found


def curve(counts: Sequence[int], scores: Sequence[float], marked: int, across: str) -> Image.Image:
    """Return scores over counts, these on a logarithmic scale, with the straight line from first to last.

    Args:
        counts: rising, two at least.
        scores: in 0 … 1, one a count; drawn in points of 100.
        marked: the count that is drawn as chosen.
        across: what the counts are, in a few words.
    """
    low, high = math.floor(10 * min(scores)) / 10, math.ceil(10 * max(scores)) / 10
    left, top, right, bottom = CURVE_BOX_PX

    def place(count: float, score: float) -> tuple[float, float]:
        share = math.log(count / counts[0]) / math.log(counts[-1] / counts[0])
        return left + share * (right - left), bottom - (score - low) / max(high - low, 0.1) * (bottom - top)

    found = Image.new("RGB", CURVE_SIZE_PX, WHITE)
    pen, font = ImageDraw.Draw(found), ImageFont.load_default(FONT_PX)
    for tenth in range(round(10 * low), round(10 * high) + 1):
        _, down = place(counts[0], tenth / 10)
        pen.line((left, down, right, down), fill=FAINT)
        pen.text((left - 12, down), str(10 * tenth), fill=INK, font=font, anchor="rm")
    points = [place(count, score) for count, score in zip(counts, scores, strict=True)]
    pen.line((points[0], points[-1]), fill=GREY, width=2)
    pen.line(points, fill=ACCENT, width=4, joint="curve")
    last = -math.inf
    for count, (over, down) in zip(counts, points, strict=True):
        size_px = 9 if count == marked else 4
        pen.ellipse((over - size_px, down - size_px, over + size_px, down + size_px), fill=ACCENT)
        if count == marked:
            pen.line((over, down, over, bottom), fill=ACCENT, width=2)
        crowded = over - last < 30 or (count != marked and abs(over - place(marked, 0)[0]) < 30)
        if count == marked or not crowded:
            pen.text((over, bottom + 10), str(count), fill=ACCENT if count == marked else INK, font=font, anchor="mt")
            last = over
    pen.text(((left + right) / 2, CURVE_SIZE_PX[1] - 8), across, fill=INK, font=font, anchor="mb")
    return found
