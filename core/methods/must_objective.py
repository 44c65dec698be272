"""MUST's objective: what a batch teaches, Eq. 6.

B images of the effective batch, L patches, K classes, H x W pixels.

Paper: Li, Savarese, Hoi, 2022, arXiv:2206.02967. Reference code: salesforce/MUST at 1e0f84e.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from core.backbones.masked import MaskedClassifier, Seen
from core.losses.alignment import squared_distance
from core.losses.pseudolabel import (
    Balance,
    MovingAverage,
    PseudoLabels,
    fairness,
    log_batch_average,
    pseudo_labels,
    self_training,
)
from core.losses.reconstruction import absolute_error, patches
from core.training.chunks import in_chunks
from core.training.precision import forward_precision


class Batch(NamedTuple):
    """What one step sees.

    Attributes:
        indices: (B,) which images.
        weak: (B, 3, H, W) for the teacher, in [0, 1] unless `Objective.normalise` leaves it alone.
        strong: (B, 3, H, W) for the student.
        hidden: (B, L) bool, True = hidden from the student; None where nothing is hidden.
    """

    indices: Tensor
    weak: Tensor
    strong: Tensor
    hidden: Tensor | None


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Which terms count, and how much.

    Attributes:
        self_training, masked_modelling: whether Eq. 2 and Eq. 4 are part of the loss (Table 5).
        fairness: λ_reg; 0 = off (Table 7).
        align: λ_align; 0 = off.
        nearest: hidden patches to align with, 0 = all (Table 6).
    """

    self_training: bool = True
    masked_modelling: bool = True
    fairness: float = 1.0
    align: float = 0.5
    nearest: int = 0

    @property
    def hides_patches(self) -> bool:
        """Tell whether any term needs hidden patches."""
        return self.masked_modelling or self.align > 0


@dataclass(kw_only=True)
class Objective:
    """The terms of a batch; "loss" is Eq. 6.

    Attributes:
        student: learns. teacher: answers; eval mode, no gradient.
        weights: see `Weights`.
        threshold: (), τ of Eq. 2.
        moving: the fairness average over steps, or None for that over the batch.
        balance: of the teacher's answers, or None for the paper's way, as they come.
        latest: (N,) the teacher's newest label of every image, -1 before its first.
        normalise: pixels as the network sees them.
        device, precision, chunk_size: where, in what, and how many images at once.
        between_chunks: called often; may raise to stop.
        last_seen: the newest batch's indices, answers, and (B,) whether each answer changed; for the page.
    """

    student: MaskedClassifier
    teacher: MaskedClassifier
    weights: Weights
    threshold: Tensor
    moving: MovingAverage | None
    balance: Balance | None = None
    latest: Tensor
    normalise: Callable[[Tensor], Tensor]
    device: torch.device
    precision: str = "auto"
    chunk_size: int = 1024
    between_chunks: Callable[[], None] = lambda: None
    last_seen: tuple[Tensor, PseudoLabels, Tensor] | None = None

    def __call__(self, batch: Batch) -> dict[str, Tensor]:
        """Return the terms of one effective batch, however many chunks it takes."""
        answers = self._answers(batch)
        logits, errors, distances = self._student(batch)
        terms: dict[str, Tensor] = {}
        loss = logits.new_zeros(())
        if self.weights.self_training:
            terms["self_training"] = self_training(logits, answers)  # Eq. 2
            loss = loss + terms["self_training"]
        if self.weights.fairness > 0:
            average = log_batch_average(logits)  # of the whole effective batch, with gradient
            terms["fairness"] = self.moving.loss(average) if self.moving else fairness(average)  # Eq. 3
            loss = loss + self.weights.fairness * terms["fairness"]
        if self.weights.masked_modelling:
            terms["masked_modelling"] = errors.mean()  # Eq. 4
            loss = loss + terms["masked_modelling"]
        if self.weights.align > 0:
            terms["alignment"] = distances.mean()  # Eq. 5
            loss = loss + self.weights.align * terms["alignment"]
        return terms | {"confident": answers.confident.float().mean(), "loss": loss}  # Eq. 6

    def ask_teacher(self, weak: Tensor) -> tuple[Tensor, Tensor]:
        """Return the teacher's logits (B, K) and embeddings (B, E) of weak views, nothing hidden."""
        def one(images: Tensor) -> tuple[Tensor, ...]:
            with forward_precision(self.device, self.precision):
                seen: Seen = self.teacher(self.normalise(images.to(self.device)))
            return seen.logits, seen.embedding

        with torch.no_grad():
            logits, embeddings = in_chunks(one, (weak,), self.chunk_size, self.between_chunks)
        return logits, embeddings

    def _answers(self, batch: Batch) -> PseudoLabels:
        """Ask the teacher, and remember what it said."""
        logits, _ = self.ask_teacher(batch.weak)
        if self.balance is not None:
            self.balance.follow(logits)
            logits = self.balance(logits)
        answers = pseudo_labels(logits, self.threshold)
        labels = answers.labels.to(self.latest.device)
        changed = (self.latest[batch.indices] >= 0) & (self.latest[batch.indices] != labels)
        self.latest[batch.indices] = labels
        self.last_seen = batch.indices, answers, changed
        return answers

    def _student(self, batch: Batch) -> tuple[Tensor, ...]:
        """Return the student's logits (B, K), errors (B,) of Eq. 4 and distances (B,) of Eq. 5."""
        def one(images: Tensor, hidden: Tensor) -> tuple[Tensor, ...]:
            images = self.normalise(images.to(self.device))
            hidden = hidden.to(self.device)
            with forward_precision(self.device, self.precision):
                seen = self.student(images, hidden if hidden.shape[1] else None)
            if not hidden.shape[1]:
                nothing = images.new_zeros(len(images))
                return seen.logits, nothing, nothing
            # Eq. 4 says RGB values; they are those of the normalised image, as in the authors' code.
            true = patches(images, self.student.patch_px)[hidden].reshape(seen.recovered.shape)  # (B, M, P)
            return (seen.logits, absolute_error(seen.recovered, true),
                    squared_distance(seen.embedding, seen.local, self.weights.nearest))

        hidden = batch.hidden if batch.hidden is not None else torch.zeros(len(batch.strong), 0, dtype=torch.bool)
        return in_chunks(one, (batch.strong, hidden), self.chunk_size, self.between_chunks)
