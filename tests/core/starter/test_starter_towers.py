"""What the starters' trainers compute: the towers are open_clip's, the questions are fair, nothing peeps."""

from __future__ import annotations

from pathlib import Path

import core.torchvision_schemas  # noqa: F401  (before open_clip)

import numpy as np
import pytest
import torch
from torch.nn import functional

from core.losses.reconstruction import patches, pictures
from core.starter import augmentation, image_tower, text_tower, vocabulary
from core.starter.image_tower import ImageTower, Questions
from core.starter.masked_autoencoder import masked_autoencoder
from core.starter.vocabulary import Vocabulary

DOG, POODLE, CAR = 0, 1, 2


@pytest.fixture
def draw() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_the_image_tower_answers_as_open_clips_at_full_size(draw: torch.Generator):
    tower = ImageTower(layers=2).eval()
    images = torch.rand(3, 3, 64, 64, generator=draw)
    with torch.no_grad():
        expected = functional.normalize(tower.visual(images), dim=-1)
        assert torch.allclose(tower(images), expected, atol=1e-5)
        assert tower(images[:, :, ::2, ::2]).shape == expected.shape


def test_the_text_tower_answers_as_open_clips_without_its_padding():
    tower = text_tower.locked(Path("nowhere"))  # the shipped one
    lines = ["a dog", "a photo of a very small handwritten seven, a kind of digit."]
    with torch.no_grad():
        expected = functional.normalize(tower(text_tower.SimpleTokenizer(context_length=32)(lines)), dim=-1)
    assert torch.allclose(text_tower.embed(tower, lines), expected, atol=1e-5)


def test_distilling_what_is_already_there_costs_least(draw: torch.Generator):
    target = functional.normalize(torch.randn(6, 16, generator=draw), dim=-1)
    there = text_tower.distillation_loss(target, target, 0.05)
    assert there < text_tower.distillation_loss(target.roll(1, 0), target, 0.05)
    twice = torch.cat([target, target])  # the same sentence twice is no wrong answer
    assert torch.allclose(text_tower.distillation_loss(twice, twice, 0.05), there, atol=0.01)


def questions(draw: torch.Generator, table: torch.Tensor) -> Questions:
    """A poodle is a dog, a car is neither; one sentence each."""
    comparable = np.array([[True, True, False], [True, True, False], [False, False, True]])
    ancestors = np.array([[False, False, False], [True, False, False], [False, False, False]])
    book = Vocabulary(nodes=("dog", "poodle", "car"), sentences=(("dog",), ("poodle",), ("car",)),
                      comparable=comparable, ancestors=ancestors)
    return Questions(book, table[:, None], image_tower.Recipe(label_smoothing=0.0), draw)


def test_what_also_applies_is_no_wrong_answer(draw: torch.Generator):
    table = functional.normalize(torch.randn(3, 8, generator=draw), dim=-1)
    image, label, scale = table[[POODLE]], torch.tensor([POODLE]), torch.tensor(10.0)
    loss = questions(draw, table).loss(image, scale, label)
    like_dog = table.clone()
    like_dog[DOG] = table[POODLE]  # the hypernym is answered, the name is not disturbed: it can only help
    assert questions(draw, like_dog).loss(image, scale, label) < loss
    like_car = table.clone()
    like_car[CAR] = table[POODLE]
    assert questions(draw, like_car).loss(image, scale, label) > loss + 0.5


def test_the_masked_autoencoder_does_not_see_what_is_hidden(draw: torch.Generator):
    model = masked_autoencoder().eval()
    images = torch.rand(2, 3, 64, 64, generator=draw)
    order = torch.rand(2, 64, generator=draw).argsort(1)
    changed = patches(images, 8)
    changed.scatter_(1, order[:, 16:, None].expand(-1, -1, changed.shape[-1]), 0.5)
    others = pictures(changed, 8, 8)
    with torch.no_grad():
        assert not torch.equal(others, images)
        assert torch.allclose(model(images, order, 16), model(others, order, 16), atol=1e-5)


def test_augmentation_is_its_generator_alone_and_stays_in_range():
    images = torch.rand(32, 3, 64, 64, generator=torch.Generator().manual_seed(3))

    def augmented(seed: int) -> torch.Tensor:
        draw = torch.Generator().manual_seed(seed)
        moved = augmentation.zoom_shift_flip(augmentation.scribble(images.clone(), draw),
                                             torch.ones(32, dtype=torch.bool), 32, draw)
        return augmentation.blur(augmentation.recolour(moved, draw), 0.5, draw)

    first = augmented(0)
    assert first.shape == (32, 3, 32, 32)
    assert first.min() >= 0
    assert first.max() <= 1
    assert torch.equal(first, augmented(0))
    assert not torch.equal(first, augmented(1))


def test_every_digit_is_spelt_in_every_template():
    lines = vocabulary.digit_sentences()
    assert len(lines) == 10 * 8 * len(vocabulary.templates())
    assert "a photo of a 7." in lines
    assert "a handwritten seven" in lines
