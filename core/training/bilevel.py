"""TURTLE's two loops: inner classifiers fitted to a labeling, a labeling moved to fit better.

Gadetsky, Jiang, Brbić, ICML 2024 (arXiv:2406.07236). Compared step by step with the authors'
released code, mlbio-epfl/turtle at 4674efa, by the recorded numbers in the tests.

Shapes: N images, B images of a batch, D features of a space, K classes; logits are (K, B), see
`core.losses.agreement`. All parameters of a loop lie in one vector, so that one optimiser step is
a handful of tensor operations however many spaces there are: the loops do M x T of them on small
matrices, and building optimisers or differentiating by autograd in the inner loop would cost more
than the arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from core.losses.agreement import agreement, labeling

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


def _logits(linears: Sequence[Linear], batch: Batch) -> list[Tensor]:
    """Return (K, B) for each space."""
    return [torch.addmm(bias[:, None], weight, columns)
            for (weight, bias), columns in zip(linears, batch.columns, strict=True)]


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


class LabelingSearch:
    """The bilevel search for one labeling, a step at a time, saved and restored whole.

    Attributes:
        task: the task encoder found so far.
        done: outer steps done.
    """

    def __init__(self, features: Sequence[Tensor], num_classes: int, *, inner_steps: int, sample_size: int,
                 outer_learning_rate: float, inner_learning_rate: float, warm_start: bool, entropy_weight: float,
                 seed: int) -> None:
        """Draw the starting layers.

        Args:
            features: (N, D) for each space, as the backbone gives them (not normalised).
            num_classes: K.
            inner_steps: M.
            sample_size: images of an outer step; all of them where there are no more.
            outer_learning_rate: of the task encoder, η in Eq. (13).
            inner_learning_rate: of the inner classifiers.
            warm_start: keep the inner classifiers from step to step.
            entropy_weight: γ in Eq. (12).
            seed: fixes starting layers and batches.
        """
        self.features, self.num_classes, self.sample_size = list(features), num_classes, sample_size
        self._everything = Batch(features) if sample_size >= len(features[0]) else None
        self.inner_steps, self.warm_start, self.entropy_weight = inner_steps, warm_start, entropy_weight
        self.outer_learning_rate, self.inner_learning_rate = outer_learning_rate, inner_learning_rate
        self.generator = torch.Generator(device=features[0].device).manual_seed(seed)
        self.done = 0
        self.task = TaskEncoder(self._draw())
        self.task_optimiser = Adam(len(self.task.parameters), features[0].device)
        self.inner = InnerClassifiers(self._draw())

    def step(self, indices: Tensor | None = None, inner_start: Sequence[Linear] | None = None) -> dict[str, float]:
        """Do one outer step and return its terms.

        Args:
            indices: the batch; drawn without replacement when not given.
            inner_start: the inner classifiers of a cold start; drawn when not given.
        """
        batch = self._batch(indices)
        task_logits = self.task.logits(batch)
        if not self.warm_start:
            self.inner.restart(inner_start or self._draw())
        self.inner.fit(batch, labeling(task_logits).detach(), self.inner_steps, self.inner_learning_rate)
        terms = agreement(task_logits, self.inner.logits(batch), self.entropy_weight)  # Eq. (12)
        (gradient,) = torch.autograd.grad(terms["loss"], self.task.parameters)  # Eq. (13), first order
        with torch.no_grad():
            self.task_optimiser.step(self.task.parameters, gradient, self.outer_learning_rate)
        self.done += 1
        return {name: float(term.detach()) for name, term in terms.items()}

    @torch.no_grad()
    def probabilities(self) -> Tensor:
        """Return the labeling (N, K) of all images."""
        return labeling(self.task.logits(self._everything or Batch(self.features))).T

    def state(self) -> dict[str, Tensor]:
        """Return everything that the next step depends on, as tensors."""
        return {
            "done": torch.tensor(self.done),
            "generator": self.generator.get_state(),
            "task": self.task.parameters.detach().clone(),
            "inner": self.inner.parameters.clone(),
            **_optimiser_state("task", self.task_optimiser),
            **_optimiser_state("inner", self.inner.optimiser),
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take up where `state` was returned."""
        self.done = int(state["done"])
        self.generator.set_state(state["generator"].cpu())
        with torch.no_grad():
            self.task.parameters.copy_(state["task"])
        self.inner.parameters.copy_(state["inner"])
        for name, optimiser in (("task", self.task_optimiser), ("inner", self.inner.optimiser)):
            optimiser.mean.copy_(state[f"{name}_mean"])
            optimiser.square.copy_(state[f"{name}_square"])
            optimiser.count = int(state[f"{name}_count"])

    def _draw(self) -> list[Linear]:
        return [draw_linear(z.shape[1], self.num_classes, self.generator) for z in self.features]

    def _batch(self, indices: Tensor | None) -> Batch:
        """Return the batch; all images in their own order where it has room for all."""
        if indices is None and self._everything is not None:
            return self._everything
        if indices is None:
            order = torch.randperm(len(self.features[0]), generator=self.generator, device=self.generator.device)
            indices = order[: self.sample_size]
        return Batch([z[indices] for z in self.features])


def _optimiser_state(name: str, optimiser: Adam) -> dict[str, Tensor]:
    return {f"{name}_mean": optimiser.mean.clone(), f"{name}_square": optimiser.square.clone(),
            f"{name}_count": torch.tensor(optimiser.count)}
