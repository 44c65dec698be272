"""The 15 common corruptions of Hendrycks & Dietterich at 5 severities, for images of any size.

Paper: "Benchmarking neural network robustness to common corruptions and perturbations", ICLR 2019,
arXiv:1903.12261 (ImageNet-C). The constants are those of hendrycks/robustness at 20caed9,
``ImageNet-C/imagenet_c/corruptions.py``, given for 224 px. What they measure in pixels (radii, deviations,
shifts) is scaled by side / 224 here, so that another size is corrupted as strongly as a person sees it; at
224 px they are the paper's. Noise stays noise of single pixels.

Shapes: H, W sides of one image; images are (H, W, 3) in [0, 1] with more than one pixel a side.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.signal import fftconvolve

from core.data.views import EvaluationView

Pixels = NDArray[np.float64]
Corruption = Callable[[Pixels, int, np.random.Generator], Pixels]

SEVERITIES = (1, 2, 3, 4, 5)
PAPER_SIDE_PX = 224
LAYER_SIDE_PX = 256
ICE = np.array([0.93, 0.97, 1.0])
GREY = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True)
class CorruptedView:
    """An image as every answer is made from it, corrupted afterwards, as ImageNet-C was made.

    Attributes:
        image_size_px: side of the square.
        corruption: a key of `CORRUPTIONS`.
        severity: 1 … 5.
    """

    image_size_px: int
    corruption: str
    severity: int
    at_least_px: int | None = None

    def pixels(self, image: Image.Image, seed: int) -> np.ndarray:
        """Return the view as (H, W, 3) bytes."""
        return corrupt(EvaluationView(self.image_size_px).pixels(image), self.corruption, self.severity, seed)


def corrupt(image: np.ndarray, corruption: str, severity: int, seed: int) -> np.ndarray:
    """Return an image (H, W, 3) of bytes corrupted; the same for the same seed.

    Args:
        image: more than one pixel a side.
        corruption: a key of `CORRUPTIONS`.
        severity: 1 … 5.
        seed: fixes all that is random in it.
    """
    found = CORRUPTIONS[corruption](image / 255, severity - 1, np.random.default_rng(seed))
    return _bytes(found)


def gaussian_noise(image: Pixels, level: int, generator: np.random.Generator) -> Pixels:
    """Add the noise of little light."""
    return image + generator.normal(size=image.shape, scale=(0.08, 0.12, 0.18, 0.26, 0.38)[level])


def shot_noise(image: Pixels, level: int, generator: np.random.Generator) -> Pixels:
    """Count few photons."""
    photons = (60, 25, 12, 5, 3)[level]
    return generator.poisson(image * photons) / photons


def impulse_noise(image: Pixels, level: int, generator: np.random.Generator) -> Pixels:
    """Set single values to black or white: salt and pepper."""
    amount = (0.03, 0.06, 0.09, 0.17, 0.27)[level]
    drawn = generator.random(image.shape)
    return np.where(drawn < amount, (drawn < amount / 2).astype(float), image)


def defocus_blur(image: Pixels, level: int, generator: np.random.Generator) -> Pixels:
    """Put the lens out of focus."""
    radius = (3, 4, 6, 8, 10)[level] * _scale(image)
    reach = int(np.ceil(radius))
    down, across = np.mgrid[-reach:reach + 1, -reach:reach + 1]
    # The reference blurs a hard disk by a tenth to half a pixel; the share of each pixel inside it is as soft.
    return _filtered(image, np.clip(radius + 0.5 - np.hypot(down, across), 0, 1))


def glass_blur(image: Pixels, level: int, generator: np.random.Generator) -> Pixels:
    """Look through frosted glass: near pixels change places."""
    sigma, most, times = ((0.7, 1.0, 2), (0.9, 2.0, 1), (1.0, 2.0, 3), (1.1, 3.0, 2), (1.5, 4.0, 2))[level]
    sigma, most = sigma * _scale(image), most * _scale(image)
    height, width = image.shape[:2]
    # The reference swaps near pixels one after the other, several times over; here each fetches its new value, all
    # at once, from where so many shifts lead. Parts of a pixel are rounded by chance, for small images' are short.
    shifts = generator.uniform(-most, most, (times, 2, height, width)).sum(axis=0)
    down, across = np.mgrid[:height, :width] + np.floor(shifts + generator.random(shifts.shape)).astype(int)
    found = _blurred(image, sigma)[down.clip(0, height - 1), across.clip(0, width - 1)]
    return _blurred(found, sigma)


def motion_blur(image: Pixels, level: int, generator: np.random.Generator) -> Pixels:
    """Move the camera."""
    radius, sigma = ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))[level]
    return _moved(image, radius, sigma, generator.uniform(-45, 45), _scale(image))


def zoom_blur(image: Pixels, level: int, generator: np.random.Generator) -> Pixels:
    """Move fast towards the thing."""
    most, step = ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03))[level]
    zooms = np.arange(1, most, step)
    height, width = image.shape[:2]
    picture, total = Image.fromarray(_bytes(image)), image.copy()
    for zoom in zooms:
        left, top = (width - width / zoom) / 2, (height - height / zoom) / 2
        part = picture.resize((width, height), Image.Resampling.BILINEAR, (left, top, width - left, height - top))
        total += np.asarray(part) / 255
    return total / (len(zooms) + 1)


def snow(image: Pixels, level: int, generator: np.random.Generator) -> Pixels:
    """Let it snow, from above and below as the reference does."""
    mean, deviation, flake, threshold, radius, sigma, kept = (
        (0.1, 0.3, 3, 0.5, 10, 4, 0.8), (0.2, 0.3, 2, 0.5, 12, 4, 0.7), (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
        (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65), (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55))[level]
    height, width = (round(side / _scale(image)) for side in image.shape[:2])  # flakes are drawn at 224 px
    small = generator.normal(mean, deviation, (int(np.ceil(height / flake)), int(np.ceil(width / flake))))
    layer = _resized(small, (height, width))
    layer = np.where(layer < threshold, 0, layer).clip(0, 1)
    layer = _moved(layer[:, :, None], radius, sigma, generator.uniform(-135, -45), 1.0)[:, :, 0]
    layer = _resized(layer, image.shape[:2])[:, :, None]
    grey = (image @ GREY)[:, :, None]
    whiter = kept * image + (1 - kept) * np.maximum(image, grey * 1.5 + 0.5)
    found: Pixels = whiter + layer + np.rot90(layer, 2)
    return found


def frost(image: Pixels, level: int, generator: np.random.Generator) -> Pixels:
    """Let ice crystals grow on the lens."""
    kept, ice = ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))[level]
    # The reference lays one of six photographs of frost over the image. We have none that may be shipped:
    # crystals are the ridges of a fractal, about as bright and as rough.
    ridges = 1 - np.abs(2 * _fractal(1.6, generator) - 1)
    found: Pixels = kept * image + ice * _resized(ridges**2, image.shape[:2])[:, :, None] * ICE
    return found


def fog(image: Pixels, level: int, generator: np.random.Generator) -> Pixels:
    """Let fog come up."""
    thickness, decay = ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4))[level]
    brightest = image.max()
    layer = _resized(_fractal(decay, generator)[:PAPER_SIDE_PX, :PAPER_SIDE_PX], image.shape[:2])[:, :, None]
    found: Pixels = (image + thickness * layer) * brightest / (brightest + thickness)
    return found


def brightness(image: Pixels, level: int, generator: np.random.Generator) -> Pixels:
    """Raise the value (of hue, saturation, value): the largest channel, and the others with it."""
    value = image.max(axis=2, keepdims=True)
    raised = (value + (0.1, 0.2, 0.3, 0.4, 0.5)[level]).clip(0, 1)
    found: Pixels = np.where(value > 0, image * raised / np.maximum(value, 1e-9), raised)
    return found


def contrast(image: Pixels, level: int, generator: np.random.Generator) -> Pixels:
    """Bring every value nearer to its channel's mean."""
    mean = image.mean(axis=(0, 1), keepdims=True)
    found: Pixels = (image - mean) * (0.4, 0.3, 0.2, 0.1, 0.05)[level] + mean
    return found


def elastic_transform(image: Pixels, level: int, generator: np.random.Generator) -> Pixels:
    """Bend the image: as a whole (severities 1 and 2) or locally (3 to 5)."""
    # Of 224 px; the reference's constants say 244 and, as it notes, mean 224.
    strength, smoothness, jitter = ((2, 0.7, 0.1), (2, 0.08, 0.2), (0.05, 0.01, 0.02), (0.07, 0.01, 0.02),
                                    (0.12, 0.01, 0.02))[level]
    unit = 244 * _scale(image)
    height, width = image.shape[:2]
    middle, third = np.array([height, width]) // 2, min(height, width) // 3
    corners = middle + third * np.array([[1, 1], [1, -1], [-1, -1]])
    moved = corners + generator.uniform(-unit * jitter, unit * jitter, corners.shape)
    back = np.linalg.lstsq(np.hstack([moved, np.ones((3, 1))]), corners, rcond=None)[0]  # (3, 2): where from
    waves = [unit * strength * gaussian_filter(generator.uniform(-1, 1, (height, width)), unit * smoothness,
                                               mode="reflect", truncate=3) for _ in range(2)]
    places = np.mgrid[:height, :width] + np.stack(waves)  # (2, H, W)
    source = np.tensordot(back[:2].T, places, 1) + back[2][:, None, None]
    return np.stack([map_coordinates(image[:, :, channel], source, order=1, mode="reflect") for channel in range(3)], 2)


def pixelate(image: Pixels, level: int, generator: np.random.Generator) -> Pixels:
    """Enlarge an image of few pixels."""
    share = (0.6, 0.5, 0.4, 0.3, 0.25)[level]
    height, width = image.shape[:2]
    small = Image.fromarray(_bytes(image)).resize((max(1, int(width * share)), max(1, int(height * share))),
                                                  Image.Resampling.BOX)
    return np.asarray(small.resize((width, height), Image.Resampling.BOX)) / 255


def jpeg_compression(image: Pixels, level: int, generator: np.random.Generator) -> Pixels:
    """Keep little of it in the file."""
    file = io.BytesIO()
    Image.fromarray(_bytes(image)).save(file, "JPEG", quality=(25, 18, 15, 10, 7)[level])
    return np.asarray(Image.open(file)) / 255


CORRUPTIONS: Mapping[str, Corruption] = {one.__name__: one for one in (
    gaussian_noise, shot_noise, impulse_noise, defocus_blur, glass_blur, motion_blur, zoom_blur, snow, frost, fog,
    brightness, contrast, elastic_transform, pixelate, jpeg_compression)}


def _scale(image: Pixels) -> float:
    """Return how long a pixel of the paper's images is in this one."""
    return float(min(image.shape[:2]) / PAPER_SIDE_PX)


def _bytes(image: Pixels) -> np.ndarray:
    found: np.ndarray = np.rint(image.clip(0, 1) * 255).astype(np.uint8)
    return found


def _blurred(image: Pixels, sigma: float) -> Pixels:
    blurred: Pixels = gaussian_filter(image, (sigma, sigma, 0), mode="nearest")
    return blurred


def _filtered(image: Pixels, kernel: Pixels) -> Pixels:
    """Return the image under an odd-sized kernel, whose sum is made 1; edges are continued."""
    reach = kernel.shape[0] // 2
    wide = np.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    found: Pixels = fftconvolve(wide, (kernel / kernel.sum())[:, :, None], mode="valid", axes=(0, 1))
    return found


def _moved(image: Pixels, radius: float, sigma: float, degrees: float, scale: float) -> Pixels:
    """Return the image drawn out to one side, as ImageMagick's motion blur does.

    Its kernel has 2 * radius + 1 places along the angle, whose weights fall like a Gaussian's half.
    """
    steps = np.arange(2 * radius + 1)
    along = steps * scale
    down, across = along * np.sin(np.radians(degrees)), along * np.cos(np.radians(degrees))
    reach = int(np.ceil(along[-1])) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    for row, column, weight in zip(down + reach, across + reach, np.exp(-steps**2 / (2 * sigma**2))):
        top, left = int(row), int(column)
        lower, right = row - top, column - left
        kernel[top:top + 2, left:left + 2] += weight * np.outer([1 - lower, lower], [1 - right, right])
    return _filtered(image, kernel)


def _resized(layer: Pixels, shape: tuple[int, ...]) -> Pixels:
    """Return a layer (h, w) at another size, smoothly."""
    picture = Image.fromarray(layer.astype(np.float32)).resize((shape[1], shape[0]), Image.Resampling.BILINEAR)
    return np.asarray(picture, dtype=np.float64)


def _fractal(decay: float, generator: np.random.Generator) -> Pixels:
    """Return heights in 0 … 1, (256, 256), by midpoint displacement on a torus (diamond-square)."""
    heights = np.zeros((LAYER_SIDE_PX, LAYER_SIDE_PX))
    step, wobble = LAYER_SIDE_PX, 100.0

    def displaced(total: Pixels) -> Pixels:
        return total / 4 + wobble * generator.uniform(-wobble, wobble, total.shape)

    while step >= 2:
        half = step // 2
        corners = heights[::step, ::step]
        pairs = corners + np.roll(corners, -1, 0)
        heights[half::step, half::step] = displaced(pairs + np.roll(pairs, -1, 1))
        centres = heights[half::step, half::step]
        heights[::step, half::step] = displaced(corners + np.roll(corners, -1, 1) + centres + np.roll(centres, 1, 0))
        heights[half::step, ::step] = displaced(pairs + centres + np.roll(centres, 1, 1))
        step, wobble = half, wobble / decay
    heights -= heights.min()
    scaled: Pixels = heights / heights.max()
    return scaled
