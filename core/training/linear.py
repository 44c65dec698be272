"""Linear classifiers in several feature spaces at once, as TURTLE's two loops move them.

All parameters of a loop lie in one vector, so that one optimiser step is a handful of tensor
operations however many spaces there are: the loops do M x T of them on small matrices, and building
optimisers or differentiating by autograd in the inner loop would cost more than the arithmetic.

Shapes: B images of a batch, D features of a space, K classes; logits are (K, B), see
`core.losses.agreement`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

Linear = tuple[Tensor, Tensor]
"""Weight (K, D) and bias (K,) of one space."""


class Batch:
    """The features of a batch in every space, both ways round: each product reads the one it is fast with.

    Attributes:
        rows: (B, D) for each space.
        columns: (D, B) for each space.
    """

    def __init__(self, features: Sequence[Tensor]) -> None:
        """Take features (B, D) of each space."""
        self.rows = list(features)
        self.columns = [z.T.contiguous() for z in features]


def draw_linear(width: int, num_classes: int, generator: torch.Generator) -> Linear:
    """Return a fresh linear classifier, uniform within 1/√D as PyTorch's own layer starts."""
    bound = 1 / math.sqrt(width)
    drawn = torch.empty(num_classes * (width + 1), device=generator.device).uniform_(-bound, bound, generator=generator)
    return drawn[:-num_classes].view(num_classes, width), drawn[-num_classes:]


class Adam:
    """Adam (0.9, 0.999) on one vector of parameters, in place; PyTorch's arithmetic, to the order."""

    def __init__(self, size: int, device: torch.device) -> None:
        """Start with no memory of earlier gradients."""
        self.mean = torch.zeros(size, device=device)
        self.square = torch.zeros(size, device=device)
        self.count = 0

    def reset(self) -> None:
        """Forget all gradients."""
        self.mean.zero_()
        self.square.zero_()
        self.count = 0

    def step(self, parameters: Tensor, gradient: Tensor, learning_rate: float) -> None:
        """Move the parameters once."""
        self.count += 1
        self.mean.lerp_(gradient, 0.1)
        self.square.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
        scale = self.square.sqrt().div_(math.sqrt(1 - 0.999**self.count)).add_(1e-8)
        parameters.addcdiv_(self.mean, scale, value=-learning_rate / (1 - 0.9**self.count))


class TaskEncoder:
    """One weight-normalised linear layer a space; its softmaxes averaged are the labeling."""

    def __init__(self, linears: Sequence[Linear]) -> None:
        """Start from plain layers: weight normalisation takes their rows' norms as lengths."""
        self.shapes = [weight.shape for weight, _ in linears]
        parts = [part for weight, bias in linears for part in (weight.flatten(), weight.norm(dim=1), bias)]
        self.parameters = torch.cat(parts).requires_grad_()

    def logits(self, batch: Batch) -> list[Tensor]:
        """Return (K, B) for each space."""
        return _logits(self.linears(), batch)

    def linears(self) -> list[Linear]:
        """Return each space's plain layer, the normalisation folded in."""
        linears, start = [], 0
        for num_classes, width in self.shapes:
            end = start + num_classes * width
            direction = self.parameters[start:end].view(num_classes, width)
            length, bias = self.parameters[end : end + 2 * num_classes].view(2, num_classes)
            linears.append((direction * (length / direction.norm(dim=1))[:, None], bias))
            start = end + 2 * num_classes
        return linears


class InnerClassifiers:
    """One plain linear classifier a space, fitted to a fixed labeling by a few Adam steps."""

    def __init__(self, linears: Sequence[Linear]) -> None:
        """Start from the given layers, with an optimiser that remembers nothing."""
        size = sum(weight.numel() + bias.numel() for weight, bias in linears)
        device = linears[0][0].device
        self.parameters, self.gradient = torch.empty(size, device=device), torch.empty(size, device=device)
        self.optimiser = Adam(size, device)
        shapes = [weight.shape for weight, _ in linears]
        self.linears, self.gradients = _views(self.parameters, shapes), _views(self.gradient, shapes)
        self.restart(linears)

    def restart(self, linears: Sequence[Linear]) -> None:
        """Take new layers and forget all gradients (cold start)."""
        for (weight, bias), (new_weight, new_bias) in zip(self.linears, linears, strict=True):
            weight.copy_(new_weight)
            bias.copy_(new_bias)
        self.optimiser.reset()

    def logits(self, batch: Batch) -> list[Tensor]:
        """Return (K, B) for each space."""
        return _logits(self.linears, batch)

    def fit(self, batch: Batch, labels: Tensor, steps: int, learning_rate: float) -> None:
        """Lower the soft cross-entropy to labels (K, B), summed over spaces, by so many steps."""
        for _ in range(steps):
            for rows, logits, (weight, bias) in zip(batch.rows, self.logits(batch), self.gradients, strict=True):
                difference = logits.softmax(dim=0).sub_(labels).div_(len(rows))  # the gradient at the logits
                torch.mm(difference, rows, out=weight)
                torch.sum(difference, dim=1, out=bias)
            self.optimiser.step(self.parameters, self.gradient, learning_rate)


def _views(vector: Tensor, shapes: Sequence[torch.Size]) -> list[Linear]:
    """Return each space's weight and bias as views into one vector."""
    views, start = [], 0
    for num_classes, width in shapes:
        end = start + num_classes * width
        views.append((vector[start:end].view(num_classes, width), vector[end : end + num_classes]))
        start = end + num_classes
    return views


def _logits(linears: Sequence[Linear], batch: Batch) -> list[Tensor]:
    """Return (K, B) for each space."""
    return [torch.addmm(bias[:, None], weight, columns)
            for (weight, bias), columns in zip(linears, batch.columns, strict=True)]
