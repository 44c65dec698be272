"""Semi-MAE: its loss by hand, its two streams of images, its switches, and what is refused."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from itertools import islice
from pathlib import Path

import pytest
import torch

from core.backbones import autoencoder
from core.backbones.load import load_backbone
from core.catalog import SemiMaeSettings, parse
from core.classifier import Classifier
from core.data.images import ImageSet
from core.errors import CheckpointError, ConfigError, DataError
from core.methods.identity import identity
from core.methods.semimae import _Training, adapt
from core.methods.semimae_objective import Batch, Head, Objective
from core.presets.preset import SMALL_COLLECTION_VIEWS
from core.presets.table import PRESETS, recommend
from core.problem import Problem
from core.settings import Value
from core.shell import LocalRun
from core.training.heartbeat import Heartbeat
from tests.core.recorder import Recorder

QUICK: Mapping[str, Value] = {"epochs": 1.0, "warming_epochs": 0.0, "batch_size": 16, "learning_rate": 1e-3,
                              "precision": "float32", "mirror": False}
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@pytest.fixture
def problem(images: ImageSet, digits, starters: Path) -> Problem:
    return Problem(images=images, class_names=NAMES, labelled=dict(enumerate(digits[1][:20])))


def local_run(folder: Path, recorder: Recorder | None = None, seed: int = 0) -> LocalRun:
    return LocalRun(device=torch.device("cpu"), seed=seed, folder=folder, listener=recorder)


def trained(problem: Problem, folder: Path, recorder: Recorder | None = None, **switches: Value) -> Classifier:
    return adapt(settings(**switches), problem, local_run(folder, recorder))


def settings(**switches: Value) -> SemiMaeSettings:
    found = parse("semimae", {**QUICK, **switches})
    assert isinstance(found, SemiMaeSettings)
    return found


def training(problem: Problem, folder: Path, **switches: Value) -> _Training:
    return _Training(settings(**switches), problem, Heartbeat(local_run(folder)))


def objective(threshold: float, reconstruction_weight: float = 5.0, chunk_size: int = 100) -> Objective:
    """Return the objective of the random starter with a classifier that knows nothing."""
    backbone = load_backbone("starter-mae")
    generator = torch.Generator().manual_seed(1)
    model = autoencoder.MaskedAutoencoder(backbone.visual, autoencoder.load_decoder("starter-mae", backbone.visual, 0))
    head = Head(192, 4, generator)
    head.linear.weight.data.zero_()
    return Objective(
        model=model, head=head, pooling="patches", threshold=threshold, consistency_weight=10.0,
        reconstruction_weight=reconstruction_weight, visible_count=16, latest=torch.full((9,), -1),
        normalise=lambda one: one, device=torch.device("cpu"), precision="float32", chunk_size=chunk_size)


def batch() -> Batch:
    draw = torch.Generator().manual_seed(2)
    pictures = torch.rand(11, 3, 64, 64, generator=draw)
    return Batch(pictures[:3], torch.tensor([0, 1, 1]), torch.tensor([2, 5, 7, 8]), pictures[3:7], pictures[7:],
                 torch.rand(4, 64, generator=draw).argsort(1))


def by_hand(one: Objective, seen: Batch) -> float:
    """Return L_MAE with a loop over images and hidden patches."""
    recovered = one.model(seen.weak, seen.order, 16)
    errors = []
    for image, order, found in zip(seen.weak, seen.order, recovered, strict=True):
        for patch in order[16:].tolist():
            row, column = divmod(patch, 8)
            pixels = image[:, row * 8:row * 8 + 8, column * 8:column * 8 + 8].permute(1, 2, 0).flatten()
            target = (pixels - pixels.mean()) / (pixels.var() + 1e-6).sqrt()
            errors.append(float((found[patch] - target).square().mean()))
    return sum(errors) / len(errors)


@torch.no_grad()
def test_the_loss_is_equation_3(starters: Path):
    terms = objective(threshold=0.2)(batch())  # every answer is ¼ sure: above the threshold
    reconstruction = by_hand(objective(threshold=0.2), batch())
    assert terms["supervised"].item() == pytest.approx(math.log(4), rel=1e-5)
    assert terms["consistency"].item() == pytest.approx(math.log(4), rel=1e-5)
    assert terms["reconstruction"].item() == pytest.approx(reconstruction, rel=1e-4)
    assert terms["loss"].item() == pytest.approx(11 * math.log(4) + 5 * reconstruction, rel=1e-4)
    assert terms["confident"].item() == 1


@torch.no_grad()
def test_answers_below_the_threshold_teach_nothing_and_are_remembered(starters: Path):
    one = objective(threshold=0.95, reconstruction_weight=0.0)
    terms = one(batch())
    assert terms["loss"].item() == pytest.approx(math.log(4), rel=1e-5)
    assert terms["confident"].item() == 0
    assert (one.latest >= 0).nonzero().flatten().tolist() == [2, 5, 7, 8]


def test_pieces_have_the_gradient_of_the_whole(starters: Path):
    gradients = []
    for chunk_size in (100, 2):
        one = objective(threshold=0.2, chunk_size=chunk_size)
        one.head.linear.weight.data.normal_(0, 0.1, generator=torch.Generator().manual_seed(3))
        one(batch())["loss"].backward()
        gradients.append(torch.cat([each.grad.flatten() for each in one.model.parameters() if each.grad is not None]))
    assert torch.allclose(*gradients, atol=1e-5)


def test_a_classifier_of_standardised_features_is_one_of_the_features_themselves():
    head, features = Head(5, 3, torch.Generator().manual_seed(0)), torch.randn(40, 5) * 7 + 3
    head.fit(features)
    weight, bias = head.folded()
    assert torch.allclose(features @ weight + bias, head(features), atol=1e-5)
    assert torch.allclose((features - head.mean) / head.deviation, (features - features.mean(0)) / features.std(0))


def test_a_step_has_seven_unlabelled_images_for_each_labelled_one_and_never_mistakes_them(problem: Problem, tmp_path):
    found = training(problem, tmp_path)
    assert (found.labelled_count, found.unlabelled_count) == (2, 14)
    for seen in islice(found._batches(0, strong=True), 12):
        assert len(seen.labels) == 2 and len(seen.indices) == 14
        assert seen.labels.min() >= 0
        assert not set(seen.indices.tolist()) & set(problem.labelled)
        assert seen.weak.shape == seen.strong.shape == (14, 3, 64, 64)
        assert not torch.equal(seen.weak, seen.strong)


def test_batches_from_the_middle_are_those_of_the_whole(problem: Problem, tmp_path):
    found = training(problem, tmp_path)
    whole, middle = list(islice(found._batches(0, strong=True), 15)), next(found._batches(14, strong=True))
    for one, other in zip(whole[14], middle, strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(whole[0].labelled, whole[10].labelled)  # ten steps make a lap: the same images, seen anew


def test_where_everything_is_labelled_everything_is_unlabelled_too(problem: Problem, digits, tmp_path):
    everything = dataclasses.replace(problem, labelled=dict(enumerate(digits[1])))
    assert training(everything, tmp_path).unlabelled == list(range(60))


def test_a_person_who_labelled_almost_everything_gets_no_shorter_run(problem: Problem, digits, tmp_path):
    steps = {count: training(dataclasses.replace(problem, labelled=dict(enumerate(digits[1][:count]))), tmp_path).steps
             for count in (20, 55, 60)}
    assert steps[55] >= steps[20] and steps[60] >= steps[20]


def test_fewer_labels_than_a_step_takes_are_all_in_every_step(problem: Problem, tmp_path):
    one = training(dataclasses.replace(problem, labelled={7: 3}), tmp_path, batch_size=32)
    assert (one.labelled_count, one.unlabelled_count) == (1, 28)


def test_what_a_person_said_is_learnt(problem: Problem, tmp_path, monkeypatch):
    monkeypatch.delenv("LABELFREE_WEIGHTS")  # the bundled weights: random ones see little of an image
    taught = sorted(problem.labelled)
    answers = trained(problem, tmp_path, epochs=0.0, warming_epochs=15.0, batch_size=160, reconstruction_weight=0.0,
                      learning_rate=2e-3).predict(problem.images).labels[taught]
    assert (answers == torch.tensor([problem.labelled[one] for one in taught])).float().mean() >= 0.9


def test_own_answers_count_only_after_warming_up(problem: Problem, tmp_path):
    recorder = Recorder()
    trained(problem, tmp_path, recorder, warming_epochs=1.0)
    assert recorder.terms["learning your labels"] == {"supervised", "reconstruction", "loss"}
    assert recorder.terms["adapting"] == {"supervised", "consistency", "confident", "reconstruction", "loss"}


def test_without_its_autoencoder_it_is_fixmatch(problem: Problem, tmp_path):
    recorder = Recorder()
    trained(problem, tmp_path, recorder, reconstruction_weight=0.0)
    assert recorder.terms["adapting"] == {"supervised", "consistency", "confident", "loss"}


def test_from_scratch_needs_no_weights_and_draws_them_from_the_seed(problem: Problem, starters: Path, tmp_path,
                                                                    monkeypatch):
    (tmp_path / "starter-mae.json").write_bytes((starters / "starter-mae.json").read_bytes())
    (tmp_path / "starter-mae.safetensors").write_bytes(b"gone")
    monkeypatch.setenv("LABELFREE_WEIGHTS", str(tmp_path))
    first, again, other = (_Training(settings(pretrained=False), problem, Heartbeat(local_run(tmp_path, seed=seed))
                                     ).network.state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    name = "model.encoder.blocks.0.attn.qkv.weight"
    assert not torch.equal(first[name], other[name])
    assert first["model.decoder.embed.weight"].shape == (96, 192)  # as light beside its encoder as the published one


def test_it_needs_labels_and_says_how_to_give_them(problem: Problem, tmp_path):
    with pytest.raises(DataError, match="confirm or correct some images in review, or give --labels FILE"):
        trained(dataclasses.replace(problem, labelled={}), tmp_path)


def test_it_needs_names(problem: Problem, tmp_path):
    with pytest.raises(DataError, match="give names"):
        trained(Problem(images=problem.images, num_classes=3, labelled={1: 1}), tmp_path)


def test_it_needs_something_to_do(problem: Problem, tmp_path):
    with pytest.raises(ConfigError, match="nothing would be learnt"):
        trained(problem, tmp_path, epochs=0.0)


def test_a_checkpoint_of_other_labels_is_refused(problem: Problem, tmp_path):
    trained(problem, tmp_path, epochs=0.1, reconstruction_weight=0.0)
    with pytest.raises(CheckpointError, match="other settings, images, labels or seed"):
        trained(dataclasses.replace(problem, labelled={0: 1}), tmp_path, epochs=0.1, reconstruction_weight=0.0)


@pytest.mark.parametrize(("method", "values"), [("semimae", {}), ("maect", {"oracle": True}),
                                                ("finetune", {"names_from_labels": True})])
def test_labels_are_part_of_a_run_s_identity_where_it_learns_from_them(problem: Problem, method: str, values):
    chosen = parse(method, values)
    other = dataclasses.replace(problem, labelled={**problem.labelled, 0: 9})
    turned = dataclasses.replace(problem, labelled=dict(reversed(problem.labelled.items())))
    assert identity(chosen, problem, 0) == identity(chosen, turned, 0) != identity(chosen, other, 0)
    if values:
        assert identity(parse(method, {}), problem, 0) == identity(parse(method, {}), other, 0)


@pytest.mark.parametrize(("backbone", "count", "preset"), [
    ("mae-vit-b16", 50_000, "finetune"), ("mae-vit-b16", 500, "small-collection"), ("vit-s16", 5_000, "finetune"),
    ("starter-mae", 50_000, "small-collection")])
def test_the_recommended_preset_fits_the_backbone(backbone: str, count: int, preset: str):
    name, values = recommend("semimae", count, backbone)
    assert (name, values["backbone"]) == (preset, backbone)
    assert values["pooling"] == ("patches" if "mae" in backbone else "class")


def test_a_small_collection_is_given_a_budget_of_views():
    _, values = recommend("semimae", 1797, "starter-mae")
    epochs = float(str(values["epochs"])) + float(str(values["warming_epochs"]))
    assert 2 * epochs * 1797 == pytest.approx(SMALL_COLLECTION_VIEWS, rel=0.01)


def test_the_paper_s_settings_are_there_by_name():
    preset = PRESETS["semimae"]["from-scratch"]
    assert {name: preset[name] for name in ("epochs", "warming_epochs", "learning_rate", "final_learning_rate",
                                            "consistency_weight", "reconstruction_weight", "unlabelled_ratio")} == {
        "epochs": 600, "warming_epochs": 100, "learning_rate": 1e-3, "final_learning_rate": 1e-5,
        "consistency_weight": 10.0, "reconstruction_weight": 5.0, "unlabelled_ratio": 7}
