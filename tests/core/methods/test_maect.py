"""MAE-CT as a method: what it tunes and leaves alone, what it refuses, and its presets."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from core.backbones import autoencoder
from core.backbones.load import load_backbone
from core.catalog import parse
from core.errors import ConfigError, DataError
from core.methods.clusters import standardised_clusters
from core.methods.maect import _decay
from core.methods.maect_stages import plans
from core.methods.spaces import Space
from core.presets.table import PRESETS, recommend
from core.problem import Problem
from core.shell import LocalRun
from tests.core.quick_maect import tuned


def test_half_of_the_blocks_stay_and_the_rest_learn(problem: Problem, tmp_path: Path):
    before = load_backbone("starter-mae").visual.state_dict()
    after = tuned(problem, tmp_path).members[0].backbone.visual.state_dict()
    moved = {name for name, value in before.items() if not torch.equal(after[name], value)}
    assert {name for name in moved if autoencoder.layer_of(name, 6) <= 3} == set()
    assert {f"blocks.{block}.attn.qkv.weight" for block in (3, 4, 5)} <= moved
    assert "norm.weight" in moved


def test_the_head_of_the_clusters_gives_the_clusters_own_answers(starters: Path, tmp_path: Path):
    draw = torch.Generator().manual_seed(0)
    found = torch.randn(120, 192, generator=draw) * torch.rand(192, generator=draw) * 5 + 3
    backbone = load_backbone("starter-mae")
    run = LocalRun(device=torch.device("cpu"), seed=0, folder=tmp_path)
    clusters = standardised_clusters(Space(backbone=backbone, features=found), 4, 3, run)
    member = clusters.member(backbone)
    answers = (found @ member.weight + member.bias).softmax(1)
    assert torch.allclose(answers, clusters.probabilities, atol=1e-4)
    turned = clusters.in_order([2, 0, 3, 1])
    assert torch.equal(turned.probabilities[:, 0], clusters.probabilities[:, 2])
    assert torch.equal(turned.centres[1], clusters.centres[0])


def test_a_number_of_classes_is_needed(problem: Problem, tmp_path: Path):
    with pytest.raises(DataError, match="how many"):
        tuned(Problem(images=problem.images), tmp_path)


def test_the_oracle_needs_labels(problem: Problem, tmp_path: Path):
    with pytest.raises(DataError, match="or give --labels FILE"):
        tuned(problem, tmp_path, oracle=True)


def test_something_must_be_left_to_tune(problem: Problem, tmp_path: Path):
    with pytest.raises(ConfigError, match="leaves nothing to tune; choose at most 5"):
        tuned(problem, tmp_path, frozen_blocks=6)


def test_every_stage_off_leaves_the_encoder_and_says_the_groups(problem: Problem, tmp_path: Path):
    classifier = tuned(problem, tmp_path, epochs=0.0)
    before = load_backbone("starter-mae").visual.state_dict()
    after = classifier.members[0].backbone.visual.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


@pytest.mark.parametrize(("backbone", "count", "preset"), [
    ("mae-vit-b16", 50_000, "min-b"), ("mae-vit-h14", 50_000, "min-h"), ("mae-vit-l16", 500, "small-collection"),
    ("starter-mae", 50_000, "small-collection"), ("dinov2-vit-s14", 2_000, "small-collection")])
def test_the_recommended_preset_fits_the_backbone(backbone: str, count: int, preset: str):
    name, values = recommend("maect", count, backbone)
    assert name == preset
    assert values["backbone"] == backbone
    parse("maect", values)


@pytest.mark.parametrize(("backbone", "count", "share"), [
    ("mae-vit-b16", 3_000, 0.1), ("mae-vit-h14", 100_000, 0.1), ("mae-vit-b16", 1_281_167, 0.0),
    ("mae-vit-h14", 1_281_167, 0.0)])
def test_the_encoder_that_is_recommended_has_forgotten_how_it_began(backbone: str, count: int, share: float):
    values = recommend("maect", count, backbone)[1]
    settings = parse("maect", values)
    steps = max(1, round(count * settings.epochs / settings.batch_size))
    assert settings.average_horizon_share == share
    assert _decay(settings.encoder_average, share, steps) ** steps < 0.1  # of 0.9999 it would be 99 % for 3,000 images


def test_parts_are_as_small_as_asked_but_while_pretraining(tmp_path: Path):
    settings = parse("maect", {"smallest_crop": 0.08, "pretraining_epochs": 1.0, "pretraining_contrast_weight": 0.1})
    assert [[view.smallest for view in plan.views] for plan in plans(settings, 64)] == [
        [0.2, 0.2], [0.08, 0.08], [0.08, 0.08]]
    assert PRESETS["maect"]["min-b"]["smallest_crop"] == 0.08


@pytest.mark.parametrize("name", PRESETS["maect"])
def test_every_preset_is_valid(name: str):
    parse("maect", PRESETS["maect"][name])
