"""Semi-MAE by numbers: which view teaches which, one cosine over both stages, other patches hidden in every step."""

from __future__ import annotations

import math
from itertools import islice
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from core.data.batches import shuffled, view_seed
from core.data.views import ShiftedView, as_tensor
from core.methods.semimae_objective import Batch
from core.problem import Problem
from core.training import loop
from tests.core.methods import test_semimae
from tests.core.methods.test_semimae import batch, objective, training

problem = test_semimae.problem
"""A fixture of that module."""


@torch.no_grad()
def test_the_strong_view_is_held_to_the_answer_of_the_weak_one(starters: Path):
    one, seen = objective(threshold=0.0, reconstruction_weight=0.0), batch()
    one.head.fit(torch.cat([one.features(views) for views in (seen.labelled, seen.weak, seen.strong)]))
    one.head.linear.weight.normal_(0, 0.1, generator=torch.Generator().manual_seed(3))
    weak, strong = one.logits(seen.weak), one.logits(seen.strong)
    assert weak.argmax(dim=1).tolist() != strong.argmax(dim=1).tolist()
    assert float(one(seen)["consistency"]) == pytest.approx(float(functional.cross_entropy(strong, weak.argmax(dim=1))))
    assert one.latest[seen.indices].tolist() == weak.argmax(dim=1).tolist()


def test_one_cosine_leads_through_both_stages_and_everything_learns_at_its_layers_rate(
        problem: Problem, tmp_path: Path,
        planned: list[loop.Stage[Batch]]):
    found = training(problem, tmp_path, warming_epochs=1.0, epochs=3.0, final_learning_rate=1e-5, weight_decay=0.05,
                     layer_decay=0.5)
    found.train()
    warming, adapting = planned
    done = warming.steps / (warming.steps + adapting.steps)
    assert [warming.learning_rate(0), adapting.learning_rate(0), adapting.learning_rate(adapting.steps)] == (
        pytest.approx([1e-3, 1e-5 + (1e-3 - 1e-5) * (1 + math.cos(math.pi * done)) / 2, 1e-5]))
    scales = {one: group["scale"] for group in adapting.optimiser.param_groups for one in group["params"]}
    model, head = found.network.model, found.network.head
    assert scales[model.encoder.blocks[0].attn.qkv.weight] == 0.5**6
    assert scales[model.decoder.embed.weight] == scales[head.linear.weight] == 1.0
    assert adapting.optimiser.defaults["betas"] == (0.9, 0.999)
    assert adapting.objective.visible_count == 16, "a quarter of 64"


def test_what_is_labelled_is_seen_weakly_and_what_is_not_both_ways(problem: Problem, tmp_path: Path):
    found = training(problem, tmp_path)
    seen, after = islice(found._batches(0, strong=True), 2)
    weak, strong = ShiftedView(64, False), ShiftedView(64, False, strong=True)

    def views(view: ShiftedView, which: list[int], number: int) -> torch.Tensor:
        return torch.stack([as_tensor(view.pixels(problem.images.load(one, view.at_least_px),
                                                  view_seed(0, 0, one, number))) for one in which])

    taught = [found.labelled[place] for place in shuffled(len(found.labelled), 0, 0)[:2]]
    assert seen.labels.tolist() == [problem.labelled[one] for one in taught]
    assert torch.equal(seen.labelled, views(weak, taught, 0))
    assert torch.equal(seen.weak, views(weak, seen.indices.tolist(), 0))
    assert torch.equal(seen.strong, views(strong, seen.indices.tolist(), 1))
    assert not torch.equal(seen.order, after.order), "other patches are hidden in every step"
