"""Which images to name first: they stand for all others, each choice stands, and few labels of them teach more."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.datasets import load_digits

from core.data.images import open_images
from core.evaluation import telling
from core.evaluation.telling import most_telling, tell
from core.shell import LocalRun


def groups(sizes: tuple[int, ...]) -> np.ndarray:
    """Return features of tight groups far apart, (sum of sizes, 8)."""
    random = np.random.default_rng(0)
    return np.vstack([random.normal(0, 0.1, (size, 8)) + 3 * np.eye(8)[place] for place, size in enumerate(sizes)]
                     ).astype(np.float32)


def test_one_of_each_group_comes_first_whatever_its_size() -> None:
    sizes = (60, 30, 12, 8)
    of = np.repeat(np.arange(4), sizes)
    chosen = most_telling([groups(sizes)])
    assert sorted(of[chosen[:4]].tolist()) == [0, 1, 2, 3]
    assert of[chosen[0]] == 0, "the largest first"
    assert len(set(chosen)) == len(chosen) == 55


def test_a_choice_stands_however_many_are_wanted() -> None:
    features = load_digits().data.astype(np.float32)[:400]
    assert most_telling([features], 10) == most_telling([features], 30)[:10]


def test_the_lazy_search_finds_what_the_plain_one_finds() -> None:
    features = load_digits().data.astype(np.float32)[:150]
    seen = telling._unit(telling._unit(features - features.mean(axis=0)))
    similarities, covered, plain = seen @ seen.T, np.full(150, -1.0), []
    for _ in range(20):
        plain.append(int(np.maximum(similarities - covered, 0).sum(axis=1).argmax()))
        covered = np.maximum(covered, similarities[plain[-1]])
    assert most_telling([features], 20) == plain


def test_another_encoder_looks_too_and_of_many_images_a_sample_is_looked_at(digits, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(telling, "LARGEST_SAMPLE", 50)
    images = open_images(digits[0], tmp_path / "unpacked")[0]
    run, alike = LocalRun(device=torch.device("cpu"), seed=0, folder=tmp_path), np.ones((60, 4), dtype=np.float32)
    chosen = tell(images, [alike], ("starter-clip",), run)
    assert len(set(chosen)) == 25
    assert max(chosen) > 49
    assert chosen != tell(images, [alike], ("starter-clip", "starter-mae"), run), "nobody else was there to ask"


def test_images_that_are_all_alike_and_two_spaces_are_no_hindrance() -> None:
    alike = np.ones((20, 4), dtype=np.float32)
    assert len(set(most_telling([alike]))) == 10
    assert len(most_telling([alike, groups((10, 10))], 3)) == 3
    assert most_telling([alike[:1]]) == []
