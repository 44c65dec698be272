"""Self-training on confident answers, and the fairness that keeps classes alive.

B images of the effective batch, K classes.

Paper: Li, Savarese, Hoi, "Masked Unsupervised Self-Training for Label-free Image Classification",
2022, arXiv:2206.02967, Eq. 2 and 3. Reference code: salesforce/MUST at 1e0f84e,
``engine_self_training.py``. FixMatch (Sohn et al., 2020, arXiv:2001.07685), as Semi-MAE's Eq. 2 has it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


class PseudoLabels(NamedTuple):
    """The teacher's answers to B images.

    Attributes:
        labels: (B,) most probable class.
        confidence: (B,) its probability.
        confident: (B,) True = sure enough to teach.
    """

    labels: Tensor
    confidence: Tensor
    confident: Tensor


def pseudo_labels(teacher_logits: Tensor, threshold: float | Tensor) -> PseudoLabels:
    """Turn the teacher's logits (B, K) into hard labels, confident above `threshold` (τ)."""
    confidence, labels = teacher_logits.float().softmax(dim=1).max(dim=1)  # (B, K) -> (B,), (B,)
    # Eq. 2 says >=; the reference takes > (engine_self_training.py at 1e0f84e), and so do we.
    return PseudoLabels(labels, confidence, confidence > threshold)


def self_training(logits: Tensor, answers: PseudoLabels) -> Tensor:
    """Return the cross-entropy of the student's logits (B, K) against the confident labels, Eq. 2.

    A batch in which nothing is confident contributes 0 (the reference: cross-entropy over nothing, NaN).
    """
    each = functional.cross_entropy(logits.float(), answers.labels, reduction="none")  # (B,)
    # Eq. 2 divides by B; the reference by the number of confident images, and so do we: its recorded
    # losses are met this way and not the other.
    return (each * answers.confident).sum() / answers.confident.sum().clamp(min=1)  # Eq. 2


def consistency(logits: Tensor, answers: PseudoLabels) -> Tensor:
    """Return FixMatch's loss, Semi-MAE's Eq. 2: as `self_training`, but divided by all B images, as written there."""
    each = functional.cross_entropy(logits.float(), answers.labels, reduction="none")  # (B,)
    return (each * answers.confident).mean()  # Eq. 2 (Semi-MAE's)


def log_batch_average(logits: Tensor) -> Tensor:
    """Return log p̄ (K,): the log of the mean over the batch of softmax of `logits` (B, K).

    By logsumexp: the reference takes the log of the mean, which underflows to -inf for a class that
    no image gives any probability, and the loss with it.
    """
    log_probabilities = logits.float().log_softmax(dim=1)
    return log_probabilities.logsumexp(dim=0) - math.log(len(logits))  # (B, K) -> (K,)


def fairness(log_average: Tensor) -> Tensor:
    """Return the distance of the average answer from an even one, given log p̄ (K,): Eq. 3."""
    return -log_average.mean()  # Eq. 3


class MovingAverage:
    """log p̄ as a moving average over steps, for when there are more classes than images a step.

    The first value is the batch mean, later ones ½ old + ½ new with gradient through the new alone.
    `loss` divides by the ½ that the gradient lost, from the first step on, as the reference does.

    Attributes:
        log_average: (K,) the average so far, without gradient; NaN before the first step.
    """

    SHARE_OF_NEW = 0.5

    def __init__(self, num_classes: int, device: torch.device | str = "cpu") -> None:
        self.log_average = torch.full((num_classes,), math.nan, device=device)

    def loss(self, log_batch: Tensor) -> Tensor:
        """Return Eq. 3 of the moving average that takes in this batch's log p̄ (K,); remembers it."""
        average = log_batch
        if not bool(self.log_average.isnan().any()):
            average = torch.logaddexp(self.log_average + math.log(1 - self.SHARE_OF_NEW),
                                      log_batch + math.log(self.SHARE_OF_NEW))
        self.log_average.copy_(average.detach())
        return fairness(average) / self.SHARE_OF_NEW  # Eq. 3


class Balance:
    """What keeps the teacher from naming a class too often or too seldom: a bias on its logits, kept over steps.

    Distribution alignment (Berthelot et al., 2020, ReMixMatch, arXiv:1911.09785, section 3.1) towards classes that
    are equally common, which is what Eq. 3 assumes of them too. Not in MUST: see `docs/decisions.md`.

    Attributes:
        bias: (K,) added to logits.
        tolerance: (), how many times more or less often than 1 of K answers a class may be named; 1 = not at all.
    """

    SHARE_OF_NEW = 0.1
    ROUNDS = 100

    def __init__(self, num_classes: int, tolerance: float, device: torch.device | str = "cpu") -> None:
        self.bias = torch.zeros(num_classes, device=device)
        self.tolerance = torch.tensor(tolerance, device=device)

    def __call__(self, logits: Tensor) -> Tensor:
        """Return the logits (B, K) balanced."""
        return logits + self.bias

    def fit(self, logits: Tensor) -> None:
        """Bring the mean answer to these logits (N, K) within the tolerance."""
        self.bias.zero_()
        for _ in range(self.ROUNDS):
            self.follow(logits, share=1.0)

    def follow(self, logits: Tensor, share: float = SHARE_OF_NEW) -> None:
        """Move by `share` of what would bring the mean answer to these logits (B, K) there, to first order."""
        log_ratio = log_batch_average(self(logits)) + math.log(len(self.bias))  # (K,) 0 = one of K answers
        allowed = self.tolerance.log()
        self.bias -= share * (log_ratio - log_ratio.clamp(-allowed, allowed))
