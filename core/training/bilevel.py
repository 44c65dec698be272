"""TURTLE's two loops: inner classifiers fitted to a labeling, a labeling moved to fit better.

Gadetsky, Jiang, Brbić, ICML 2024 (arXiv:2406.07236). Compared step by step with the authors'
released code, mlbio-epfl/turtle at 4674efa, by the recorded numbers in the tests.

Shapes: N images, B images of a batch, D features of a space, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from core.losses.agreement import agreement, labeling
from core.training.linear import Adam, Batch, InnerClassifiers, Linear, TaskEncoder, draw_linear


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
