"""The 15 common corruptions: seeded, of any size, and the worse the higher their severity."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from core.data.corruptions import CORRUPTIONS, SEVERITIES, CorruptedView, corrupt
from core.data.views import EvaluationView

SIDE_PX = 96
BENDS_AS_A_WHOLE = 2
"""The first two severities of the elastic transform bend the image as a whole, the others locally and by less."""


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    """A pagoda against the sky, from scikit-learn."""
    return EvaluationView(SIDE_PX).pixels(Image.fromarray(load_sample_image("china.jpg")))


def change(image: np.ndarray, corruption: str, severity: int, seed: int = 0) -> float:
    """Return the mean absolute change, in levels of 255."""
    return float(np.abs(corrupt(image, corruption, severity, seed).astype(float) - image).mean())


def test_there_are_fifteen() -> None:
    assert len(CORRUPTIONS) == 15


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_a_seed_says_all_of_it(corruption: str, photograph: np.ndarray) -> None:
    before = photograph.copy()
    once, again = (corrupt(photograph, corruption, 3, seed=7) for _ in range(2))
    assert once.dtype == np.uint8
    assert once.shape == photograph.shape
    assert (once == again).all()
    assert (photograph == before).all()
    plain = {"defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression"}
    assert (once == corrupt(photograph, corruption, 3, seed=8)).all() == (corruption in plain)


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_a_higher_severity_changes_more(corruption: str, photograph: np.ndarray) -> None:
    changes = [np.mean([change(photograph, corruption, severity, seed) for seed in range(3)])
               for severity in SEVERITIES]
    if corruption == "elastic_transform":
        parts = [changes[:BENDS_AS_A_WHOLE], changes[BENDS_AS_A_WHOLE:]]
    elif corruption == "frost":  # severities 3 and 4 lay on the same ice, and keep 0.7 and 0.65 of the image
        parts = [changes[:3], changes[3:]]
    else:
        parts = [changes]
    assert changes[0] > 0.5
    for part in parts:
        assert all(milder < worse for milder, worse in itertools.pairwise(part)), changes


@pytest.mark.parametrize("shape", [(8, 8, 3), (20, 33, 3)])
def test_images_of_any_size_can_be_corrupted(shape: tuple[int, int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    for corruption in CORRUPTIONS:
        assert corrupt(image, corruption, 5, seed=0).shape == shape


def test_noise_is_as_strong_as_it_says() -> None:
    grey = np.full((200, 200, 3), 128, dtype=np.uint8)
    assert np.std(corrupt(grey, "gaussian_noise", 1, 0) / 255) == pytest.approx(0.08, abs=0.002)
    assert np.std(corrupt(grey, "shot_noise", 1, 0) / 255) == pytest.approx((128 / 255 / 60) ** 0.5, abs=0.003)
    salted = corrupt(grey, "impulse_noise", 5, 0)
    assert (salted == 0).mean() == pytest.approx(0.135, abs=0.005)
    assert (salted == 255).mean() == pytest.approx(0.135, abs=0.005)


def test_colours_are_changed_as_the_paper_says() -> None:
    image = np.zeros((2, 2, 3), dtype=np.uint8)
    image[0, 0], image[0, 1] = (100, 50, 0), (255, 255, 255)
    brighter = corrupt(image, "brightness", 1, 0)
    assert brighter[0, 0].tolist() == [126, 63, 0]  # 100 + 25.5, hue and saturation kept
    assert brighter[1, 1].tolist() == [26, 26, 26]  # black has no hue
    flat = corrupt(image, "contrast", 5, 0)
    assert flat[0, 1, 0] == round(0.05 * 255 + 0.95 * 355 / 4)


def test_blur_spreads_a_point_and_keeps_its_light() -> None:
    point = np.zeros((224, 224, 3), dtype=np.uint8)
    point[96:128, 96:128] = 255
    for corruption in ("defocus_blur", "motion_blur", "glass_blur"):
        blurred = corrupt(point, corruption, 3, 0)
        assert blurred.mean() == pytest.approx(point.mean(), rel=0.03)
        assert (blurred > 0).sum() > (point > 0).sum()


def test_a_view_is_corrupted_at_the_size_the_network_sees() -> None:
    image = Image.fromarray(load_sample_image("flower.jpg"))
    view = CorruptedView(32, "gaussian_noise", 2)
    seen = view.pixels(image, seed=5)
    assert seen.shape == (32, 32, 3)
    assert (seen == corrupt(EvaluationView(32).pixels(image), "gaussian_noise", 2, seed=5)).all()
