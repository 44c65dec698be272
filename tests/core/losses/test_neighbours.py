"""The queue of neighbours: first in, first out, and nobody is his own neighbour."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from core.losses.contrast import contrast, symmetric_contrast
from core.losses.neighbours import NOBODY, NeighbourQueue


def unit(*rows: list[float]) -> torch.Tensor:
    return functional.normalize(torch.tensor(rows), dim=1)


@pytest.fixture
def queue() -> NeighbourQueue:
    """Rows of images 0 to 3, each a little further from the first."""
    made = NeighbourQueue(4, 2, torch.Generator().manual_seed(0))
    made.push(unit([1.0, 0.0], [1.0, 0.2], [1.0, 0.5], [0.0, 1.0]), torch.arange(4))
    return made


def test_an_empty_queue_holds_unit_vectors_of_nobody():
    empty = NeighbourQueue(8, 4, torch.Generator().manual_seed(0))
    assert empty.owners.tolist() == [NOBODY] * 8
    assert torch.allclose(empty.embeddings.norm(dim=1), torch.ones(8))


def test_the_oldest_go_first(queue: NeighbourQueue):
    queue.push(unit([-1.0, 0.0], [-1.0, 0.1], [-1.0, 0.2]), torch.tensor([7, 8, 9]))
    assert queue.owners.tolist() == [7, 8, 9, 3]
    queue.push(unit([-1.0, 0.3], [-1.0, 0.4]), torch.tensor([10, 11]))
    assert queue.owners.tolist() == [11, 8, 9, 10]


def test_of_a_batch_larger_than_the_queue_the_last_stay(queue: NeighbourQueue):
    queue.push(unit(*([1.0, float(step)] for step in range(6))), torch.arange(20, 26))
    assert sorted(queue.owners.tolist()) == [22, 23, 24, 25]


@pytest.mark.parametrize(("dice", "neighbour"), [(0, 1), (1, 2), (2, 3)])
def test_the_nearest_that_is_not_oneself(queue: NeighbourQueue, dice: int, neighbour: int):
    found = queue.look_up(unit([1.0, 0.0]), torch.tensor([0]), torch.tensor([dice]))
    assert torch.equal(found[0], queue.embeddings[neighbour])


def test_preferred_rows_come_before_all_others(queue: NeighbourQueue):
    preferred = torch.tensor([[False, False, False, True]])
    found = queue.look_up(unit([1.0, 0.0]), torch.tensor([0]), torch.tensor([0]), preferred)
    assert torch.equal(found[0], queue.embeddings[3])


def test_contrast_is_least_where_everybody_is_told_apart():
    each = torch.eye(4)
    assert contrast(each, each, 0.1) < contrast(each, each.roll(1, 0), 0.1)
    assert float(contrast(torch.ones(4, 4) / 2, torch.ones(4, 4) / 2, 0.1)) == pytest.approx(torch.tensor(4.0).log())
    both = symmetric_contrast((each, each.roll(1, 0)), (each.roll(1, 0), each), 0.1)
    assert float(both) == pytest.approx(float(contrast(each, each, 0.1)))
