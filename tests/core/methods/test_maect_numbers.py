"""MAE-CT by numbers: its own objective beside the authors' losses, its combined loss, its stages' rates and weights."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from core.backbones.autoencoder import encode, pool
from core.backbones.contrastive_head import ContrastiveHead, project
from core.backbones.load import load_backbone
from core.catalog import parse
from core.losses.neighbours import NeighbourQueue
from core.losses.reconstruction import normalised_patches
from core.methods.maect_objective import Batch, Objective
from core.methods.maect_stages import plans
from core.problem import Problem
from core.training import ema, loop
from tests.core.methods.test_maect_golden import GOLDEN, files
from tests.core.methods.test_maect_objective import batch, objective
from tests.core.quick_maect import tuned


@files
def test_a_runs_own_objective_has_the_authors_losses_and_leaves_their_queue(file: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Objective, "_look", lambda _one, view, _order: (view, view.new_zeros(len(view))))  # features
    arrays = dict(np.load(GOLDEN / file))
    recorded = {name: torch.from_numpy(value) for name, value in arrays.items() if value.ndim}
    config = json.loads(str(arrays["config"]))
    head = ContrastiveHead(config["D"], projector_width=config["hidden"], embedding=config["dim"],
                           predictor_width=config["predictor_hidden"])
    head.load_state_dict({name.removeprefix("init/"): value for name, value in recorded.items()
                          if name.startswith(("init/projector", "init/predictor"))})
    teacher = ema.Teacher(head.projector)
    teacher.model.train()
    queue = NeighbourQueue(config["queue"], config["dim"], torch.Generator())
    queue.embeddings.copy_(recorded["init/queue"])
    one = Objective(
        model=None, head=head, lookup_projector=teacher.model, queue=queue, pooling="patches",
        temperature=config["tau"], contrast_weight=1.0, reconstruction_weight=0.0, visible_count=1,
        normalise=lambda images: images, device=torch.device("cpu"), precision="float32")
    optimiser = torch.optim.AdamW(head.parameters(), lr=config["lr"], betas=tuple(config["betas"]),
                                  weight_decay=config["weight_decay"])
    losses = []
    for step in range(config["steps"]):
        views = recorded["view1"][step], recorded["view2"][step]
        terms = one(Batch(recorded["ids"][step], views, views, recorded["dice"][step]))
        optimiser.zero_grad()
        terms["loss"].backward()
        optimiser.step()
        one.remember()
        teacher.follow(head.projector, config["projector_ema"])
        losses.append(float(terms["loss"].detach()))
    assert losses == pytest.approx(arrays["loss"].tolist(), rel=1e-4)
    assert torch.allclose(queue.embeddings, recorded["final/queue"], atol=1e-3)
    assert torch.equal(queue.owners, recorded["final/queue_id"])


@torch.no_grad()
def test_combined_pretraining_adds_lambda_contrast_to_the_mean_error_of_what_both_views_hide(starters: Path):
    seen = batch(torch.Generator().manual_seed(2))
    one = objective(torch.Generator().manual_seed(1), contrast_weight=0.3, temperature=0.5, lookup=False)
    terms, errors, embedded, predicted = one(seen), [], [], []
    for view, order in zip(seen.views, seen.orders, strict=True):
        images = one.normalise(view)
        each = (one.model(images, order, 16) - normalised_patches(images, 8)).square().mean(dim=2)  # (B, L)
        errors.append(each.gather(1, order[:, 16:]).mean())
        features = pool(encode(one.model.encoder, images, order[:, :16]), "patches")
        embedded.append(project(one.head.projector, features))
        predicted.append(one.head.predict(features))
    each_own = torch.arange(len(seen.indices))
    contrast = sum(functional.cross_entropy(mine @ theirs.T / 0.5, each_own) / 2
                   for mine, theirs in zip(embedded, reversed(predicted), strict=True))
    assert float(terms["reconstruction"]) == pytest.approx(float(sum(errors)) / 2, rel=1e-4)
    assert float(terms["contrast"]) == pytest.approx(float(contrast), rel=1e-4)
    assert float(terms["loss"]) == pytest.approx(float(sum(errors)) / 2 + 0.3 * float(contrast), rel=1e-4)


def test_each_stage_has_the_tables_rates_decays_and_warm_up(problem: Problem, tmp_path: Path,
                                                            planned: list[loop.Stage[Batch]]):
    tuned(problem, tmp_path, pretraining_epochs=5.0, preparing_epochs=5.0, epochs=5.0, pretraining_learning_rate=4e-3,
          preparing_learning_rate=3e-3, base_learning_rate=1e-3, head_learning_rate=2e-3, weight_decay=0.05,
          head_weight_decay=1e-5, layer_decay=0.5)
    views = {"pretraining": 1, "preparing the head": 2, "contrastive tuning": 2}
    base = {"pretraining": 4e-3, "preparing the head": 3e-3, "contrastive tuning": 1e-3}
    given = [{name: (group["scale"], group["weight_decay"]) for group in stage.optimiser.param_groups
              for name in group["names"]} for stage in planned]
    for stage in planned:  # fifteen steps of twenty images; three of them rise
        peak = base[stage.name] * 20 * views[stage.name] / 256
        assert [stage.learning_rate(step) for step in (0, 3, 9, 15)] == pytest.approx([0, peak, peak / 2, 0])
        assert stage.optimiser.defaults["betas"] == (0.9, 0.95)
        assert len(stage.memory["queue/owners"]) == 60, "no more than there are images"
    assert given[0]["blocks.0.attn.qkv.weight"] == given[0]["embed.weight"] == (1.0, 0.05)
    assert given[1].keys() == {name for name in given[1] if name.startswith(("projector", "predictor"))}
    assert given[1]["projector.0.weight"] == (1.0, 1e-5)
    assert given[2]["projector.0.weight"] == (2.0, 1e-5)
    assert given[2]["blocks.5.attn.qkv.weight"] == (0.5, 0.05)
    assert given[2]["blocks.3.attn.qkv.weight"] == (0.125, 0.05)
    assert given[2]["norm.weight"] == (1.0, 0.0)


def test_the_average_of_the_encoder_is_the_result_and_that_of_the_projector_looks_up(
        problem: Problem, tmp_path: Path, stages: list[loop.Stage[Batch]]):
    before = load_backbone("starter-mae").visual.state_dict()
    after = tuned(problem, tmp_path, encoder_average=1.0, projector_average=0.0).members[0].backbone.visual.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items()), "it never moved"
    (stage,) = stages
    name = "blocks.5.attn.qkv.weight"
    assert not torch.equal(stage.memory[f"network/model.encoder.{name}"], before[name])
    assert torch.equal(stage.memory["average projector/0.weight"], stage.memory["network/head.projector.0.weight"])
    assert stage.objective.lookup_projector is not stage.objective.head.projector
    assert stage.objective.lookup_projector.training, "its batch norm sees the batch"


def test_the_head_is_prepared_on_a_frozen_encoder(problem: Problem, tmp_path: Path, stages: list[loop.Stage[Batch]]):
    before = load_backbone("starter-mae").visual.state_dict()
    after = tuned(problem, tmp_path, preparing_epochs=1.0, epochs=0.0).members[0].backbone.visual.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert stages[0].objective.reconstruction_weight == 0


def test_the_stages_have_the_papers_temperatures_neighbours_and_weights():
    combined = plans(parse("maect", {"temperature": 0.35, "nearest": 30, "pretraining_contrast_weight": 0.001,
                                     "augmentation": "strong"}), 64)
    told = [(plan.temperature, plan.nearest, plan.contrast_weight, plan.reconstruction_weight) for plan in combined]
    assert told == [(0.15, 1, 0.001, 1.0), (0.15, 1, 1.0, 0.0), (0.35, 30, 1.0, 0.0)]
    assert [[view.second for view in plan.views] for plan in combined[1:]] == [[False, True]] * 2
    detached = plans(parse("maect", {"pretraining_detached": True}), 64)[0]
    assert (detached.contrast_weight, detached.detached, len(detached.views)) == (1.0, True, 2)


def test_views_of_one_stage_are_not_shown_again_in_the_next(problem: Problem, tmp_path: Path,
                                                            planned: list[loop.Stage[Batch]]):
    tuned(problem, tmp_path, preparing_epochs=1.0)
    first, second = (next(stage.batches(0)) for stage in planned)
    assert not torch.equal(first.indices, second.indices)


def test_with_a_short_queue_nobody_has_a_row_of_his_own_for_a_neighbour(problem: Problem, tmp_path: Path,
                                                                       planned: list[loop.Stage[Batch]]):
    tuned(problem, tmp_path, nearest=20, queue_size=4)
    assert int(next(planned[0].batches(0)).dice.max()) < 2


def test_a_persons_labels_reach_the_lookup_where_the_oracle_is_asked(problem: Problem, tmp_path: Path,
                                                                     planned: list[loop.Stage[Batch]]):
    tuned(dataclasses.replace(problem, labelled={3: 1}), tmp_path, oracle=True)
    assert planned[0].objective.labels.tolist() == [-1, -1, -1, 1, *[-1] * 56]
