"""Small problems are computed on one thread."""

from __future__ import annotations

import pytest
import torch

from core.threads import MANY_FEATURES, few_threads


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_small_problems_use_one_thread_and_leave_the_number_as_it_was(two_threads):
    with pytest.raises(RuntimeError), few_threads(100):
        assert torch.get_num_threads() == 1
        raise RuntimeError
    assert torch.get_num_threads() == 2


def test_large_problems_use_all(two_threads):
    with few_threads(MANY_FEATURES):
        assert torch.get_num_threads() == 2
