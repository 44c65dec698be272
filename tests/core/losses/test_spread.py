from __future__ import annotations

import itertools

import pytest
import torch
from torch.nn.functional import cosine_similarity, normalize

from core.losses.spread import spread


def test_it_is_what_the_mean_cosine_of_all_pairs_lacks() -> None:
    vectors = normalize(torch.randn(7, 5, generator=torch.Generator().manual_seed(0)) + 0.5, dim=1)
    cosines = [float(cosine_similarity(*pair, dim=0)) for pair in itertools.combinations(vectors, 2)]
    assert float(spread(vectors)) == pytest.approx(1 - sum(cosines) / len(cosines), abs=1e-5)


def test_it_falls_to_nothing_as_embeddings_fall_together() -> None:
    scattered = normalize(torch.randn(64, 128, generator=torch.Generator().manual_seed(0)), dim=1)
    together = normalize(scattered + 100, dim=1)
    assert float(spread(scattered)) == pytest.approx(1, abs=0.02)
    assert float(spread(together)) < 0.001
    assert float(spread(scattered[:1])) == pytest.approx(1), "a single image is told apart from nothing"


def test_nothing_is_learnt_by_it() -> None:
    assert not spread(normalize(torch.ones(3, 2, requires_grad=True), dim=1)).requires_grad
