"""InfoNCE against a queue and its mix, on vectors whose loss can be written down."""

from __future__ import annotations

import math

import pytest
import torch

from core.losses.instance import instance_contrast, mixed_contrast, own_rows
from core.losses.neighbours import NOBODY

EAST, NORTH, WEST, SOUTH = ([1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0])


def rows(*vectors: list[float]) -> torch.Tensor:
    return torch.tensor(vectors)


def nobody(queries: int, places: int) -> torch.Tensor:
    return torch.zeros(queries, places, dtype=torch.bool)


def test_the_loss_of_equation_4_is_what_it_says():
    """Cosines 1 to the key, 0 and -1 to the queue; then 0 to the key and 1, 0 to the queue. τ = 0.5."""
    found = instance_contrast(rows(EAST, NORTH), rows(EAST, EAST), rows(NORTH, WEST), nobody(2, 2), 0.5)
    first = -math.log(math.exp(2) / (math.exp(2) + math.exp(0) + math.exp(-2)))
    second = -math.log(math.exp(0) / (math.exp(0) + math.exp(2) + math.exp(0)))
    assert found.tolist() == pytest.approx([first, second])


def test_k_equal_negatives_beside_an_equal_key_leave_it_to_chance():
    found = instance_contrast(rows(EAST), rows(NORTH), rows(NORTH, SOUTH, NORTH), nobody(1, 3), 0.07)
    assert found.item() == pytest.approx(math.log(4))


def test_an_images_own_rows_are_no_negatives():
    own = own_rows(torch.tensor([7, 3]), torch.tensor([3, NOBODY, 7]))
    assert own.tolist() == [[False, False, True], [True, False, False]]
    queries, keys = rows(EAST, NORTH), rows(EAST, NORTH)
    found = instance_contrast(queries, keys, rows(NORTH, WEST, EAST), own, 0.2)
    alone = [instance_contrast(queries[one:one + 1], keys[one:one + 1], others, nobody(1, 2), 0.2).item()
             for one, others in ((0, rows(NORTH, WEST)), (1, rows(WEST, EAST)))]
    assert found.tolist() == pytest.approx(alone)


def test_where_the_whole_queue_is_the_images_own_there_is_nothing_to_tell_apart():
    query = rows(NORTH).requires_grad_()
    found = instance_contrast(query, rows(EAST), rows(EAST, WEST), ~nobody(1, 2), 0.2)
    found.sum().backward()
    assert found.item() == 0
    assert torch.equal(query.grad, torch.zeros(1, 2))


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_equation_6_is_the_two_terms_by_their_shares(share: float):
    """Two mixed queries, each the other's partner; the queue has one row, at a right angle to both keys."""
    mixed, keys = rows(EAST, NORTH), rows(EAST, NORTH)
    found = mixed_contrast(mixed, keys, torch.tensor([1, 0]), rows(WEST), nobody(2, 1), share, 1.0)
    own_first = -math.log(math.e / (math.e + math.exp(-1)))  # key east of query east, row west
    other_first = -math.log(1 / (1 + math.exp(-1)))  # key north of query east
    own_second = -math.log(math.e / (math.e + 1))
    other_second = -math.log(1 / (1 + 1))
    assert found.tolist() == pytest.approx([share * own_first + (1 - share) * other_first,
                                            share * own_second + (1 - share) * other_second])
