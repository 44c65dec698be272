"""TURTLE's objective in closed form."""

from __future__ import annotations

import math

import torch

from core.losses.agreement import agreement, class_entropy, labeling, soft_cross_entropy


def logits_of(*probabilities: list[float]) -> torch.Tensor:
    """Return logits (K, B) whose softmax has these images' probabilities."""
    return torch.tensor(probabilities).log().T


def test_the_labeling_is_the_mean_of_the_softmaxes_not_of_the_logits():
    labels = labeling([logits_of([0.9, 0.1]), logits_of([0.2, 0.8])])
    torch.testing.assert_close(labels, torch.tensor([[0.55], [0.45]]))


def test_soft_cross_entropy_of_equal_distributions_is_their_entropy():
    expected = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    assert math.isclose(soft_cross_entropy(logits_of([0.25, 0.75]), torch.tensor([[0.25], [0.75]])), expected,
                        rel_tol=1e-6)


def test_class_entropy_is_largest_when_every_class_gets_its_share():
    assert math.isclose(class_entropy(logits_of([0.9, 0.1], [0.1, 0.9])), math.log(2), rel_tol=1e-6)
    assert class_entropy(logits_of([0.9, 0.1], [0.9, 0.1])) < math.log(2)


def test_class_entropy_and_its_gradient_stay_finite_when_a_class_holds_nothing():
    logits = torch.tensor([[0.0, 0.0], [-500.0, -500.0]], requires_grad=True)
    entropy = class_entropy(logits)
    entropy.backward()
    assert entropy.item() == 0.0
    assert torch.isfinite(logits.grad).all()


def test_the_loss_sums_prediction_errors_and_entropies_over_spaces():
    task = [logits_of([0.9, 0.1], [0.2, 0.8]), logits_of([0.6, 0.4], [0.3, 0.7])]
    inner = [logits_of([0.7, 0.3], [0.4, 0.6]), logits_of([0.5, 0.5], [0.1, 0.9])]
    terms = agreement(task, inner, entropy_weight=10.0)
    error = sum(soft_cross_entropy(one, labeling(task)) for one in inner)
    entropy = sum(class_entropy(one) for one in task)
    torch.testing.assert_close(terms["loss"], error - 10.0 * entropy)


def test_no_gradient_reaches_the_inner_classifiers():
    task, inner = logits_of([0.9, 0.1]).requires_grad_(), logits_of([0.7, 0.3]).requires_grad_()
    agreement([task], [inner], entropy_weight=1.0)["loss"].backward()
    assert inner.grad is None
    assert task.grad is not None
