from __future__ import annotations

import random
import warnings

import core.torchvision_schemas  # noqa: F401

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image
from timm.data.auto_augment import rand_augment_transform

from core.data.randaugment import FILL, OPERATIONS, randaugment


@pytest.fixture(scope="module")
def photograph() -> Image.Image:
    return Image.fromarray(load_sample_image("china.jpg")).resize((64, 64))


def test_it_makes_timms_pictures_for_the_same_seeds(photograph):
    """Compared with ``rand-m9-mstd0.5-inc1`` as timm's own training transform configures it."""
    timm = rand_augment_transform("rand-m9-mstd0.5-inc1", {
        "translate_const": int(64 * 0.45), "img_mean": FILL, "interpolation": Image.Resampling.BICUBIC})
    assert len(timm.ops) == len(OPERATIONS)
    before = random.getstate(), np.random.get_state()
    changed = 0
    try:
        for seed in range(400):
            random.seed(seed)
            np.random.seed(seed)
            expected = timm(photograph)
            assert randaugment(photograph, seed).tobytes() == expected.tobytes(), f"seed {seed}"
            changed += expected.tobytes() != photograph.tobytes()
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
    assert 200 < changed < 350  # each of two operations is applied half of the time


def test_it_leaves_the_global_generators_alone(photograph):
    random.seed(1)
    np.random.seed(1)
    expected = random.Random(1).random(), np.random.RandomState(1).random()
    for seed in range(50):
        randaugment(photograph, seed)
    assert (random.random(), np.random.random()) == expected


def test_every_operation_works_at_every_level(photograph):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for operation in OPERATIONS:
            for level in (0.0, 9.0, 10.0):
                assert operation(photograph, level, random.Random(0)).size == (64, 64)
