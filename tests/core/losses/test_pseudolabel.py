"""Self-training and fairness: closed forms, and the cases in which the reference breaks."""

from __future__ import annotations

import math

import pytest
import torch

from core.losses.pseudolabel import (
    Balance,
    MovingAverage,
    PseudoLabels,
    consistency,
    fairness,
    log_batch_average,
    pseudo_labels,
    self_training,
)


def certain(labels: list[int], num_classes: int, strength: float = 200.0) -> torch.Tensor:
    return strength * torch.nn.functional.one_hot(torch.tensor(labels), num_classes).float()


def test_an_answer_is_confident_only_above_the_threshold():
    logits = torch.tensor([[0.0, 0.0], [math.log(3), 0.0], [0.0, math.log(4)]])  # ½, ¾, ⅘
    answers = pseudo_labels(logits, 0.75)
    assert answers.confidence.tolist() == pytest.approx([0.5, 0.75, 0.8])
    assert answers.labels.tolist()[1:] == [0, 1]
    assert answers.confident.tolist() == [False, bool(answers.confidence[1] > 0.75), True]


def test_exactly_the_threshold_is_not_confident():
    assert not pseudo_labels(torch.zeros(1, 2), 0.5).confident.any()


def test_self_training_divides_by_the_number_of_confident_images():
    answers = PseudoLabels(torch.tensor([0, 1, 1]), torch.ones(3), torch.tensor([True, True, False]))
    assert self_training(torch.zeros(3, 4), answers).item() == pytest.approx(math.log(4))


def test_consistency_divides_by_all_images():
    answers = PseudoLabels(torch.tensor([0, 1, 1]), torch.ones(3), torch.tensor([True, True, False]))
    assert consistency(torch.zeros(3, 4), answers).item() == pytest.approx(2 / 3 * math.log(4))
    logits = torch.tensor([[0.0, math.log(3)], [0.0, 0.0], [0.0, 0.0]])  # the label has ¼, then ½
    assert consistency(logits, answers).item() == pytest.approx((math.log(4) + math.log(2)) / 3)


def test_unconfident_images_teach_nothing():
    logits = torch.zeros(2, 3, requires_grad=True)
    self_training(logits, PseudoLabels(torch.tensor([0, 1]), torch.ones(2), torch.tensor([True, False]))).backward()
    assert logits.grad is not None
    assert logits.grad[0].abs().sum() > 0
    assert logits.grad[1].abs().sum() == 0


def test_a_batch_with_nothing_confident_contributes_zero():
    logits = torch.zeros(2, 3, requires_grad=True)
    loss = self_training(logits, PseudoLabels(torch.tensor([0, 1]), torch.ones(2), torch.tensor([False, False])))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert logits.grad.abs().sum() == 0


def test_fairness_is_least_when_classes_are_even():
    even = fairness(log_batch_average(certain([0, 1, 2, 3], 4, strength=50.0)))
    uneven = fairness(log_batch_average(certain([0, 0, 0, 1], 4, strength=5.0)))
    assert even.item() == pytest.approx(math.log(4), rel=1e-5)
    assert uneven > even


def test_fairness_stays_finite_where_a_class_gets_no_probability_at_all():
    logits = certain([0, 0], 3, strength=500.0).requires_grad_()
    assert logits.softmax(dim=1).mean(dim=0).log().isinf().any(), "the plain mean underflows here"
    loss = fairness(log_batch_average(logits))
    loss.backward()
    assert loss.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_fairness_has_the_gradient_of_the_plain_mean():
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float32).requires_grad_()
    fairness(log_batch_average(logits)).backward()
    ours, logits.grad = logits.grad, None
    (-logits.softmax(dim=1).mean(dim=0).log().mean()).backward()
    torch.testing.assert_close(ours, logits.grad)


def test_the_moving_average_starts_at_the_batch_mean_and_then_halves():
    first, second = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(1)).unbind()
    moving = MovingAverage(3)
    assert moving.loss(log_batch_average(first)).item() == pytest.approx(
        2 * fairness(log_batch_average(first)).item(), rel=1e-5)
    loss = moving.loss(log_batch_average(second))
    mean = 0.5 * first.softmax(dim=1).mean(dim=0) + 0.5 * second.softmax(dim=1).mean(dim=0)
    assert loss.item() == pytest.approx(-mean.log().mean().item() / 0.5, rel=1e-5)
    torch.testing.assert_close(moving.log_average, mean.log())


def test_the_moving_average_s_gradient_goes_through_the_new_batch_alone():
    moving = MovingAverage(3)
    moving.loss(log_batch_average(torch.randn(4, 3)))
    logits = torch.randn(4, 3).requires_grad_()
    moving.loss(log_batch_average(logits)).backward()
    assert not moving.log_average.requires_grad
    assert logits.grad is not None
    assert logits.grad.abs().sum() > 0


@pytest.fixture
def uneven() -> torch.Tensor:
    return torch.randn(400, 3, generator=torch.Generator().manual_seed(0)) + torch.tensor([3.0, 0.0, -2.0])


def test_an_even_balance_names_every_class_equally_often(uneven):
    balance = Balance(3, tolerance=1)
    balance.fit(uneven)
    assert balance(uneven).softmax(1).mean(0).tolist() == pytest.approx([1 / 3] * 3, abs=1e-4)


def test_a_loose_balance_brings_classes_to_its_bounds_and_no_further(uneven):
    assert (uneven.softmax(1).mean(0) < 1 / 9).tolist() == [False, True, True]
    balance = Balance(3, tolerance=3)
    balance.fit(uneven)
    assert balance(uneven).softmax(1).mean(0).tolist() == pytest.approx([7 / 9, 1 / 9, 1 / 9], abs=1e-3)
    assert balance.bias[0] == 0


def test_a_balance_leaves_answers_within_its_tolerance_alone():
    balance = Balance(2, tolerance=3)
    balance.fit(torch.tensor([[4.0, 0.0], [0.0, 3.0]]))
    assert balance.bias.tolist() == [0, 0]


def test_a_balance_that_follows_answers_arrives_where_a_fit_does(uneven):
    fitted, following = Balance(3, tolerance=1), Balance(3, tolerance=1)
    fitted.fit(uneven)
    for _ in range(300):
        following.follow(uneven)
    assert torch.allclose(following(uneven).softmax(1), fitted(uneven).softmax(1), atol=1e-3)
