"""Unsupervised finetuning: what learns, what is replayed and mixed, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.random_weights import write_catalogued
from core.backbones.instance_encoder import EMBEDDING_WIDTH, InstanceEncoder
from core.backbones.load import load_backbone
from core.catalog import parse
from core.classifier import Classifier
from core.data.images import ImageSet, open_images
from core.data.mixing import draw_mix
from core.data.views import normalise
from core.errors import ConfigError, DataError
from core.losses.neighbours import NOBODY, NeighbourQueue
from core.methods import finetune
from core.methods.finetune_objective import Batch, Objective
from core.presets.table import PRESETS, recommend
from core.problem import Problem
from core.settings import Value
from core.shell import LocalRun
from core.training import ema, loop
from tests.core.recorder import Recorder

QUICK: Mapping[str, Value] = {
    "epochs": 1.0, "batch_size": 12, "optimiser": "adamw", "base_learning_rate": 1e-2, "momentum": 0.9, "starts": 2,
    "precision": "float32"}


@pytest.fixture(scope="module")
def images(digits, tmp_path_factory) -> ImageSet:
    return open_images(digits[0], tmp_path_factory.mktemp("unpacked"))[0].subset(range(24))


@pytest.fixture(scope="module")
def noise(tmp_path_factory) -> ImageSet:
    """Thirty images that no digit looks like."""
    folder = tmp_path_factory.mktemp("noise")
    draws = np.random.default_rng(0)
    for number in range(30):
        Image.fromarray(draws.integers(256, size=(8, 8, 3), dtype=np.uint8)).save(folder / f"{number:02d}.png")
    return open_images(folder, folder)[0]


@pytest.fixture
def problem(images: ImageSet, tiny_starters: Path) -> Problem:
    return Problem(images=images, num_classes=4)


def adapted(problem: Problem, folder: Path, recorder: Recorder | None = None, **switches: Value) -> Classifier:
    run = LocalRun(device=torch.device("cpu"), seed=0, folder=folder, listener=recorder)
    return finetune.adapt(parse("finetune", {**QUICK, **switches}), problem, run)


@pytest.mark.parametrize("backbone", ["starter-mae", "starter-clip"])
def test_the_whole_encoder_learns_and_its_groups_are_the_answer(problem: Problem, tmp_path: Path, backbone: str):
    before = load_backbone(backbone).visual.state_dict()
    classifier = adapted(problem, tmp_path, backbone=backbone)
    after = classifier.members[0].backbone.visual.state_dict()
    assert [name for name, value in before.items() if value.ndim > 1 and torch.equal(after[name], value)] == []
    assert torch.isfinite(classifier.predict(problem.images).probabilities).all()
    assert classifier.class_names == ("cluster 1", "cluster 2", "cluster 3", "cluster 4")
    classifier.save(tmp_path / "saved")
    assert torch.equal(Classifier.load(tmp_path / "saved").predict(problem.images).probabilities,
                       classifier.predict(problem.images).probabilities)


def test_a_resnet_learns_but_for_the_statistics_of_its_batch_norm(images: ImageSet, tiny_weights: Path, tmp_path: Path,
                                                                  monkeypatch: pytest.MonkeyPatch):
    for file in tiny_weights.glob("starter-clip.*"):  # suggests names
        (tmp_path / file.name).symlink_to(file)
    write_catalogued(tmp_path, "resnet50")
    monkeypatch.setenv("LABELFREE_WEIGHTS", str(tmp_path))
    before = load_backbone("resnet50").visual.state_dict()
    classifier = adapted(Problem(images=images.subset(range(3)), num_classes=2), tmp_path / "run", backbone="resnet50",
                         optimiser="sgd", batch_size=2, epochs=0.5, mixing="none", images_at_once=8)
    after = classifier.members[0].backbone.visual.state_dict()
    moved = {name for name, value in before.items() if not torch.equal(after[name], value)}
    assert {"conv1.weight", "bn1.weight", "layer4.2.bn3.weight"} <= moved
    assert not [name for name in moved if "running" in name]


@pytest.mark.parametrize(("switches", "terms"), [
    ({"mixing": "none", "mode": "target"}, {"contrast"}), ({"mixing": "cutmix"}, {"contrast", "mixed_contrast"}),
    ({"mixing": "mixup", "mixed_only": True}, {"mixed_contrast"}),
    ({"mixing": "both", "optimiser": "sgd", "average_horizon_share": 0.5}, {"contrast", "mixed_contrast"})])
def test_every_switch_runs_and_counts_its_terms(problem: Problem, tmp_path: Path, switches: dict[str, Value],
                                                terms: set[str]):
    recorder = Recorder()
    adapted(problem, tmp_path, recorder, **switches)
    assert set().union(*recorder.terms.values()) == {*terms, "spread", "loss"}
    assert finetune.WITHOUT_REPLAY in recorder.stages


def test_a_sparse_sample_of_the_source_is_replayed(images: ImageSet, noise: ImageSet, tiny_starters: Path,
                                                   tmp_path: Path, stages: list[loop.Stage[Batch]]):
    recorder = Recorder()
    problem = Problem(images=images, num_classes=4, replay=noise)
    classifier = adapted(problem, tmp_path, recorder, replay_share=0.4, mode="replay")
    stage, = stages
    assert finetune.WITH_REPLAY in recorder.stages
    assert finetune.WITHOUT_REPLAY not in recorder.stages
    assert classifier.settings["replayed"] == 12
    assert stage.steps == (24 + 12) // 12, "an epoch is both"
    assert sorted(stage.memory["queue/owners"].tolist()) == list(range(36)), "replayed images are told apart too"
    assert len(classifier.predict(images).labels) == 24


@pytest.mark.parametrize(("share", "limit", "count"), [(1.0, 0, 30), (0.1, 0, 3), (1.0, 8, 8), (0.001, 0, 1)])
def test_the_sample_is_a_share_of_the_source_and_bounded(images: ImageSet, noise: ImageSet, tmp_path: Path,
                                                         share: float, limit: int, count: int):
    settings = parse("finetune", {"replay_share": share, "replay_limit": limit})
    runs = [LocalRun(device=torch.device("cpu"), seed=seed, folder=tmp_path) for seed in (0, 0, 1)]
    problem = Problem(images=images, num_classes=4, replay=noise)
    drawn = [finetune._replayed(settings, problem, run) for run in runs]
    names = [one.names for one in drawn if one is not None]
    assert [len(set(one)) for one in names] == [count] * 3
    assert names[0] == names[1]
    assert names[0] != names[2] or count == 30


def test_killed_and_resumed_with_replay_it_ends_as_the_unbroken_run(images: ImageSet, noise: ImageSet,
                                                                    tiny_starters: Path, tmp_path: Path,
                                                                    monkeypatch: pytest.MonkeyPatch):
    problem = Problem(images=images, num_classes=4, replay=noise)
    switches: dict[str, Value] = {"replay_share": 0.4, "epochs": 2.0, "mixing": "both", "optimiser": "sgd"}
    unbroken = adapted(problem, tmp_path / "unbroken", **switches)
    made = 0
    follow = ema.Teacher.follow

    def count(*arguments: Any) -> None:
        nonlocal made
        follow(*arguments)
        made += 1
        if made == 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(ema.Teacher, "follow", count)
        adapted(problem, tmp_path / "killed", **switches)
    resumed = adapted(problem, tmp_path / "killed", **switches)
    first, second = (one.members[0].backbone.visual.state_dict() for one in (unbroken, resumed))
    assert all(torch.equal(second[name], value) for name, value in first.items())
    with pytest.raises(Exception, match="other settings, images"):
        adapted(Problem(images=images, num_classes=4, replay=noise.subset(range(9))), tmp_path / "killed", **switches)


@pytest.mark.parametrize(("momentum", "stays"), [(0.0, False), (1.0, True)])
def test_the_key_encoder_follows_by_its_momentum(problem: Problem, tmp_path: Path, stages: list[loop.Stage[Batch]],
                                                 momentum: float, stays: bool):
    adapted(problem, tmp_path, momentum=momentum)
    memory = stages[0].memory
    name = "backbone.visual.blocks.0.attn.qkv.weight"
    before = load_backbone("starter-mae").visual.state_dict()["blocks.0.attn.qkv.weight"]
    assert torch.equal(memory[f"key encoder/{name}"], before if stays else memory[f"encoder/{name}"])
    assert not torch.equal(memory[f"encoder/{name}"], before)


def test_the_head_may_learn_faster_than_the_encoder(starters: Path):
    settings = parse("finetune", {"base_learning_rate": 1e-4, "head_learning_rate": 1e-3, "optimiser": "adamw"})
    encoder = InstanceEncoder(load_backbone("starter-mae"))
    groups = finetune._optimiser(settings, encoder).param_groups
    scales = {id(parameter): group["scale"] for group in groups for parameter in group["params"]}
    assert {scales[id(parameter)] for parameter in encoder.backbone.parameters()} == {1.0}
    assert [scales[id(parameter)] for parameter in encoder.head.parameters()] == pytest.approx([10.0] * 4)


def objective(**switches: Any) -> Objective:
    encoder = InstanceEncoder(load_backbone("starter-mae"))
    encoder.draw(torch.Generator().manual_seed(1))
    backbone = encoder.backbone
    given: dict[str, Any] = {
        "encoder": encoder, "key_encoder": ema.Teacher(encoder).model, "temperature": 0.2, "precision": "float32",
        "queue": NeighbourQueue(10, EMBEDDING_WIDTH, torch.Generator().manual_seed(2)), "device": torch.device("cpu"),
        "normalise": partial(normalise, mean=backbone.mean, std=backbone.std)}
    return Objective(**{**given, **switches})


def batch(mixing: str = "cutmix", size: int = 6) -> Batch:
    draw = torch.Generator().manual_seed(3)
    queries, keys = (torch.rand(size, 3, 64, 64, generator=draw) for _ in range(2))
    return Batch(torch.arange(size), queries, keys, draw_mix(mixing, size, 64, 1.0, draw))


def test_a_step_in_pieces_is_the_whole_step(starters: Path):
    found = []
    for size in (100, 5):
        one = objective(chunk_size=size)
        terms = one(batch())
        terms["loss"].backward()
        found.append((float(terms["loss"].detach()), one.encoder.backbone.visual.blocks[0].attn.qkv.weight.grad))
        assert all(parameter.grad is None for parameter in one.key_encoder.parameters()), "keys teach nobody"
    assert found[1][0] == pytest.approx(found[0][0], rel=1e-5)
    torch.testing.assert_close(found[1][1], found[0][1], rtol=1e-3, atol=1e-6)


@torch.no_grad()
def test_keys_wait_for_the_next_step_and_are_then_no_negatives_of_their_own_image(starters: Path):
    one, seen = objective(), batch()
    first = {name: float(value) for name, value in one(seen).items()}
    assert first["loss"] == pytest.approx(first["contrast"] + first["mixed_contrast"])
    assert one.queue.owners.tolist() == [NOBODY] * 10, "not beside itself in its own step"
    one.remember()
    assert sorted(one.queue.owners.tolist()) == [NOBODY] * 4 + list(range(6))

    queries, keys = one._embed(one.encoder, seen.queries), one._embed(one.key_encoder, seen.keys)
    losses = []
    for image in range(6):  # now each is told from four random rows and from the five others' keys
        negatives = one.queue.embeddings[one.queue.owners != image]
        assert len(negatives) == 9
        logits = torch.cat([keys[image:image + 1], negatives]) @ queries[image] / 0.2
        losses.append(float(logits.logsumexp(0) - logits[0]))
    assert float(one(seen)["contrast"]) == pytest.approx(float(np.mean(losses)), rel=1e-5)


def test_replay_without_a_collection_says_what_to_do(problem: Problem, tmp_path: Path):
    with pytest.raises(ConfigError, match=r"choose a replay collection \(--replay DIR in the shell\)"):
        adapted(problem, tmp_path, mode="replay")


def test_a_collection_that_would_not_be_replayed_is_refused(images: ImageSet, noise: ImageSet, tmp_path: Path):
    with pytest.raises(ConfigError, match="replays nothing: leave the replay collection out"):
        adapted(Problem(images=images, num_classes=4, replay=noise), tmp_path, mode="target")


def test_mixed_images_only_needs_mixing():
    with pytest.raises(ConfigError, match="mixed_only: there would be no mixed images"):
        parse("finetune", {"mixing": "none", "mixed_only": True})


def test_a_number_of_classes_is_needed(images: ImageSet, tmp_path: Path):
    with pytest.raises(DataError, match="how many"):
        adapted(Problem(images=images), tmp_path)


def test_the_papers_preset_has_the_papers_values():
    preset = PRESETS["finetune"]["paper"]
    assert {name: preset[name] for name in ("backbone", "mode", "replay_share", "mixing", "mixing_alpha", "epochs",
                                            "batch_size", "optimiser", "base_learning_rate")} == {
        "backbone": "resnet50", "mode": "replay", "replay_share": 0.1, "mixing": "cutmix", "mixing_alpha": 1,
        "epochs": 200, "batch_size": 256, "optimiser": "sgd", "base_learning_rate": 0.015}
    naive = PRESETS["finetune"]["paper-naive"]
    assert {name for name in preset if preset[name] != naive[name]} == {"mode", "mixing"}


@pytest.mark.parametrize(("backbone", "count", "name", "optimiser"), [
    ("resnet101", 3_060, "paper", "sgd"), ("resnet50", 500, "small-collection", "sgd"),
    ("starter-mae", 50_000, "small-collection", "adamw"), ("clip-vit-b16", 2_000, "small-collection", "adamw")])
def test_what_is_recommended_fits_the_backbone_and_asks_for_no_replay_collection(backbone: str, count: int, name: str,
                                                                                 optimiser: str):
    preset, values = recommend("finetune", count, backbone)
    assert preset == name
    assert (values["backbone"], values["mode"], values["optimiser"]) == (backbone, "auto", optimiser)
