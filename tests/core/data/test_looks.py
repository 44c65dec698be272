"""How pictures look: a photograph spoilt on purpose is noticed, and a near copy is found among many."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter
from sklearn.datasets import load_digits, load_sample_image

from core.data import looks
from core.data.looks import look, near_groups


@pytest.fixture(scope="module", params=["china.jpg", "flower.jpg"])
def photograph(request) -> Image.Image:
    """Return a real photograph, 640 x 427."""
    return Image.fromarray(load_sample_image(request.param))


def flags(image: Image.Image) -> set[str]:
    found = look(image)
    measured = {
        "dark": found.lightest < looks.DARK_BELOW, "light": found.darkest > looks.LIGHT_ABOVE,
        "blurred": found.sharpness is not None and found.sharpness < looks.BLURRED_BELOW,
        "empty": found.information_bits is not None and found.information_bits < looks.LITTLE_BELOW_BITS}
    return {name for name, is_so in measured.items() if is_so}


def test_a_good_photograph_has_no_flag(photograph):
    assert flags(photograph) == set()


@pytest.mark.parametrize(("spoil", "flag"), [
    (lambda image: ImageEnhance.Brightness(image).enhance(0.2), "dark"),
    (lambda image: Image.blend(image, Image.new("RGB", image.size, "white"), 0.97), "light"),
    (lambda image: image.filter(ImageFilter.GaussianBlur(6)), "blurred"),
    (lambda image: Image.new("RGB", image.size, "grey"), "empty"),
], ids=["dark", "light", "blurred", "empty"])
def test_a_spoilt_photograph_is_flagged(photograph, spoil, flag):
    assert flag in flags(spoil(photograph))


def test_size_changes_no_flag(photograph):
    blurred = photograph.filter(ImageFilter.GaussianBlur(6))
    for scale in (0.5, 2.5):
        size = (round(640 * scale), round(427 * scale))
        assert flags(photograph.resize(size)) == set()
        assert "blurred" in flags(blurred.resize(size))


def test_tiny_pictures_are_not_called_blurred_or_empty():
    for pixels in load_digits().images[:50]:
        assert flags(Image.fromarray((pixels * 15).astype(np.uint8))) <= {"dark"}


def test_a_picture_that_is_all_length_has_no_sharpness():
    assert look(Image.new("RGB", (48, 48 * 256))).sharpness is None


def copies(image: Image.Image) -> list[Image.Image]:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=50)
    width, height = image.size
    darker = ImageEnhance.Brightness(image).enhance(0.9)
    return [image, Image.open(out), image.resize((width // 2, height // 2)), darker]


def test_near_copies_are_grouped_and_others_are_not():
    one, other = (Image.fromarray(load_sample_image(name)) for name in ("china.jpg", "flower.jpg"))
    hashes = [look(image).near_hash for image in [*copies(one), *copies(other), one.rotate(90)]]
    assert near_groups(hashes) == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_near_groups_are_those_of_comparing_every_pair():
    noise = np.random.default_rng(0)
    hashes = noise.integers(-2**63, 2**63 - 1, 200)
    near = [int(one) ^ sum(1 << int(bit) for bit in noise.choice(63, size=bits, replace=False))
            for bits, one in zip((1, 3, 5, 5, 6, 7), hashes)]
    hashes = [*map(int, hashes), *near]
    pairs = {(i, j) for i in range(206) for j in range(i + 1, 206)
             if bin((hashes[i] ^ hashes[j]) & (2**64 - 1)).count("1") <= looks.NEAR_BITS}
    assert pairs == {(0, 200), (1, 201), (2, 202), (3, 203)}
    assert sorted(map(tuple, near_groups(hashes))) == sorted(pairs)


def test_no_pictures_are_no_groups():
    assert near_groups([]) == []
    assert near_groups([7, 7, 7]) == [[0, 1, 2]]
