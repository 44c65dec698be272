"""MAE-CT beyond the golden numbers: stages, switches, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from core.backbones import autoencoder
from core.backbones.autoencoder import MaskedAutoencoder
from core.backbones.contrastive_head import ContrastiveHead
from core.backbones.load import load_backbone
from core.catalog import METHODS, learns_from_labels, parse
from core.classifier import Classifier
from core.data.images import ImageSet, open_images
from core.data.views import normalise
from core.errors import ConfigError, DataError
from core.evaluation.result import notes_on
from core.losses.neighbours import NeighbourQueue
from core.methods.clusters import standardised_clusters
from core.methods.identity import identity
from core.methods.labelled import fitted_head
from core.methods.maect import adapt
from core.methods.maect_objective import Batch, Objective
from core.methods.maect_stages import plans
from core.methods.resolve import resolve
from core.methods.spaces import Space
from core.presets.table import PRESETS, recommend
from core.problem import Problem
from core.run import Progress
from core.settings import Value
from core.shell import LocalRun
from core.training import loop

QUICK: Mapping[str, Value] = {
    "epochs": 1.0, "preparing_epochs": 0.0, "batch_size": 20, "frozen_blocks": 3, "nearest": 2, "starts": 2,
    "base_learning_rate": 1e-2, "encoder_average": 0.5, "precision": "float32"}


@pytest.fixture(scope="module")
def images(digits, tmp_path_factory) -> ImageSet:
    return open_images(digits[0], tmp_path_factory.mktemp("unpacked"))[0]


@pytest.fixture
def problem(images: ImageSet, digit_names: tuple[str, ...], starters: Path) -> Problem:
    return Problem(images=images, class_names=digit_names)


class Stages:
    """Listens for the names of stages."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def progress(self, progress: Progress) -> None:
        if progress.stage not in self.names:
            self.names.append(progress.stage)

    def note(self, text: str) -> None:
        pass

    def result(self, title: str, values: Mapping[str, object]) -> None:
        pass


def tuned(problem: Problem, folder: Path, stages: Stages | None = None, **switches: Value) -> Classifier:
    run = LocalRun(device=torch.device("cpu"), seed=0, folder=folder, listener=stages)
    return adapt(parse("maect", {**QUICK, **switches}), problem, run)


def test_half_of_the_blocks_stay_and_the_rest_learn(problem: Problem, tmp_path: Path):
    before = load_backbone("starter-mae").visual.state_dict()
    after = tuned(problem, tmp_path).members[0].backbone.visual.state_dict()
    moved = {name for name, value in before.items() if not torch.equal(after[name], value)}
    assert {name for name in moved if autoencoder.layer_of(name, 6) <= 3} == set()
    assert {f"blocks.{block}.attn.qkv.weight" for block in (3, 4, 5)} <= moved
    assert "norm.weight" in moved


@pytest.mark.parametrize(("switches", "stages"), [
    ({}, ["contrastive tuning"]),
    ({"preparing_epochs": 1.0}, ["preparing the head", "contrastive tuning"]),
    ({"pretraining_epochs": 1.0, "pretraining_contrast_weight": 0.001, "epochs": 0.0}, ["pretraining"]),
    ({"pretraining_epochs": 1.0, "pretraining_detached": True}, ["pretraining", "contrastive tuning"]),
    ({"mask_ratio": 0.75, "nearest": 0, "augmentation": "strong", "pooling": "class"}, ["contrastive tuning"]),
])
def test_every_switch_of_the_papers_tables_runs(problem: Problem, tmp_path: Path, switches: dict[str, Value],
                                                stages: list[str]):
    heard = Stages()
    classifier = tuned(problem, tmp_path, heard, **switches)
    assert [name for name in heard.names if name in ("pretraining", "preparing the head", "contrastive tuning")] \
        == stages
    assert classifier.members[0].backbone.pooling == switches.get("pooling", "patches")
    assert torch.isfinite(classifier.predict(problem.images).probabilities).all()


def test_masking_while_tuning_leaves_the_head_s_preparation_alone():
    shown = {plan.name: plan.visible_share for plan in plans(parse("maect", {"mask_ratio": 0.75}), 64)}
    assert shown == {"pretraining": 0.25, "preparing the head": 1.0, "contrastive tuning": 0.25}


COMBINED: Mapping[str, Value] = {"pretraining_epochs": 1.0, "pretraining_contrast_weight": 0.1}


def begun(problem: Problem, folder: Path, monkeypatch: pytest.MonkeyPatch,
          **switches: Value) -> dict[str, dict[str, torch.Tensor]]:
    """Return the head and the queue with which each stage began."""
    found: dict[str, dict[str, torch.Tensor]] = {}

    def watch(stage: loop.Stage[Batch], run: LocalRun) -> None:
        found[stage.name] = {name: tensor.clone() for name, tensor in stage.memory.items()
                             if name.startswith(("network/head", "queue"))}
        train(stage, run)

    train = loop.train
    with monkeypatch.context() as patch:
        patch.setattr(loop, "train", watch)
        tuned(problem, folder, **COMBINED, **switches)
    return found


def moved(before: Mapping[str, torch.Tensor], after: Mapping[str, torch.Tensor]) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}


def test_after_combined_pretraining_a_new_head_is_prepared(problem: Problem, tmp_path: Path,
                                                           monkeypatch: pytest.MonkeyPatch):
    head = begun(problem, tmp_path, monkeypatch, preparing_epochs=1.0)
    assert not moved(head["pretraining"], head["preparing the head"]), "batch norm's averages and the queue are new too"
    prepared = moved(head["preparing the head"], head["contrastive tuning"])
    assert {"network/head.projector.0.weight", "network/head.predictor.1.running_mean", "queue/owners"} <= prepared


def test_unprepared_the_head_of_combined_pretraining_goes_on(problem: Problem, tmp_path: Path,
                                                             monkeypatch: pytest.MonkeyPatch):
    head = begun(problem, tmp_path, monkeypatch)
    assert list(head) == ["pretraining", "contrastive tuning"]
    learnt = moved(head["pretraining"], head["contrastive tuning"])
    assert {"network/head.projector.0.weight", "network/head.predictor.1.running_mean", "queue/owners"} <= learnt


@pytest.mark.parametrize("killed_after", [2, 3, 4, 6, 8])
def test_with_a_new_head_a_killed_run_ends_as_an_unbroken_one(killed_after: int, problem: Problem, tmp_path: Path,
                                                              monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(loop, "SECONDS_BETWEEN_REPORTS", 0.0)
    switches = {**COMBINED, "preparing_epochs": 1.0}  # three steps a stage
    unbroken = tuned(problem, tmp_path / "unbroken", **switches)

    class Killer(Stages):
        def progress(self, progress: Progress) -> None:
            if progress.step == killed_after:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tuned(problem, tmp_path / "killed", Killer(), **switches)
    resumed = tuned(problem, tmp_path / "killed", **switches)
    for name, value in unbroken.members[0].backbone.visual.state_dict().items():
        assert torch.equal(resumed.members[0].backbone.visual.state_dict()[name], value), name
    assert torch.equal(resumed.members[0].weight, unbroken.members[0].weight)


TUNED: Mapping[str, Value] = {"epochs": 0.5, "batch_size": 20, "starts": 3, "precision": "float32"}
GROUPING: Mapping[str, Mapping[str, Value]] = {
    "kmeans": {"starts": 3}, "turtle": {"steps": 60, "starts": 1}, "finetune": TUNED,
    "maect": {**TUNED, "preparing_epochs": 0.0, "frozen_blocks": 3, "nearest": 2}}


@pytest.mark.parametrize(("method", "values"), GROUPING.items())
def test_groups_are_named_by_a_person_s_labels_where_asked(method: str, values: Mapping[str, Value], problem: Problem,
                                                           tmp_path: Path):

    def answers(problem: Problem, folder: str, **switches: Value) -> list[int]:
        run = LocalRun(device=torch.device("cpu"), seed=0, folder=tmp_path / folder)
        classifier = resolve(METHODS[method].function)(parse(method, {**values, **switches}), problem, run)
        return [int(label) for label in classifier.predict(problem.images).labels]

    by_text = answers(problem, "text")
    turned = {by_text.index(name): (name + 1) % 10 for name in set(by_text)}  # one image of each group is another thing
    labelled = replace(problem, labelled=turned)
    assert answers(labelled, "labels unasked") == by_text
    by_labels = answers(labelled, "labels", names_from_labels=True)
    assert [by_labels[image] for image in turned] == list(turned.values())
    if len(turned) == 10:
        assert by_labels == [(name + 1) % 10 for name in by_text]
    else:  # an empty group has no image that says what it is: the groups are the same whatever they are called
        assert len(set(zip(by_text, by_labels, strict=True))) == len(set(by_text))

    with pytest.raises(DataError, match="or give --labels FILE"):
        answers(problem, "none", names_from_labels=True)
    with pytest.raises(ConfigError, match="names_from_labels: there are no class names"):
        answers(replace(labelled, class_names=(), num_classes=10), "nameless", names_from_labels=True)


@pytest.mark.parametrize("method", ["maect", "finetune"])
def test_a_classifier_is_fitted_to_labels_where_asked(method: str, problem: Problem, digits: tuple[Path, list[int]],
                                                      tmp_path: Path):
    def adapted(problem: Problem, folder: str, **switches: Value) -> Classifier:
        run = LocalRun(device=torch.device("cpu"), seed=0, folder=tmp_path / folder)
        return resolve(METHODS[method].function)(parse(method, {**GROUPING[method], **switches}), problem, run)

    truth = digits[1]
    labelled = replace(problem, labelled={image: label for image, label in enumerate(truth) if label < 5})
    found = adapted(labelled, "labels", classifier_from="labels")
    answers = found.predict(problem.images).labels
    assert [int(answers[image]) for image in labelled.labelled] == list(labelled.labelled.values())
    names = problem.class_names
    assert found.settings["unlabelled_classes"] == list(names[5:])
    (note,) = notes_on(found.settings)
    assert note.startswith(f"Nobody labelled an image of {', '.join(names[5:])}: ")
    assert set(range(5, 10)) <= set(answers.tolist())
    assert "unlabelled_classes" not in adapted(labelled, "groups", names_from_labels=True).settings

    found.save(tmp_path / "saved")
    assert torch.equal(Classifier.load(tmp_path / "saved").predict(problem.images).labels, answers)
    with pytest.raises(DataError, match="or give --labels FILE"):
        adapted(problem, "none", classifier_from="labels")
    with pytest.raises(ConfigError, match="classifier_from: there are no class names"):
        adapted(replace(labelled, class_names=(), num_classes=10), "nameless", classifier_from="labels")


@pytest.mark.parametrize(("labels", "unlabelled", "expected"), [
    ([0, 0, -1, -1, -1, -1], [1, 2], [0, 0, 1, 1, 2, 2]),  # as many examples as the labelled class: two each
    ([0, -1, -1, 1, -1, 2], [], [0, 0, 0, 1, 1, 2]),
    ([2, 2, 0, 0, 0, 0], [1], [2, 2, 0, 0, 0, 0])])  # nothing is left that could be an example
def test_a_class_that_nobody_labelled_is_shown_by_its_group(labels: list[int], unlabelled: list[int],
                                                           expected: list[int]):
    features = torch.tensor([[0.0, 0.1], [0.0, -0.1], [5.0, 0.1], [5.0, -0.1], [0.0, 5.1], [0.0, 4.9]])
    if not unlabelled:
        features = torch.tensor([[0.0, 0.1], [0.0, -0.1], [0.1, 0.1], [5.0, -0.1], [5.0, 0.1], [0.0, 4.9]])
    centres = torch.tensor([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]])
    member, missing = fitted_head(load_backbone("starter-mae"), features, torch.tensor(labels),
                                  torch.cdist(features, centres).square())
    assert missing == unlabelled
    assert (features @ member.weight + member.bias).argmax(dim=1).tolist() == expected


@pytest.mark.parametrize("method", GROUPING)
def test_labels_are_part_of_a_checkpoint_only_where_they_are_used(method: str, problem: Problem):
    off, on = parse(method, {}), parse(method, {"names_from_labels": True})
    assert (learns_from_labels(off), learns_from_labels(on)) == (False, True)
    labelled = replace(problem, labelled={3: 1})
    assert identity(off, labelled, 0) == identity(off, problem, 0)
    assert len({identity(off, labelled, 0), identity(on, labelled, 0), identity(on, problem, 0)}) == 3
    if method in ("maect", "finetune"):
        fitted = parse(method, {"classifier_from": "labels"})
        assert learns_from_labels(fitted) and identity(fitted, labelled, 0) != identity(fitted, problem, 0)
    oracle = parse("maect", {"oracle": True})
    assert identity(oracle, labelled, 0) != identity(oracle, problem, 0)


def objective(draw: torch.Generator, **switches: object) -> Objective:
    backbone = load_backbone("starter-mae")
    torch.manual_seed(0)
    head = ContrastiveHead(backbone.width, projector_width=32, embedding=16, predictor_width=32)
    model = MaskedAutoencoder(backbone.visual, autoencoder.load_decoder("starter-mae", backbone.visual, 0))
    given: dict[str, object] = {
        "model": model.train(), "head": head.train(), "lookup_projector": head.projector,
        "queue": NeighbourQueue(24, 16, draw), "pooling": "patches", "temperature": 0.15, "contrast_weight": 1.0,
        "reconstruction_weight": 1.0, "visible_count": 16, "device": torch.device("cpu"), "precision": "float32",
        "normalise": partial(normalise, mean=backbone.mean, std=backbone.std)}
    return Objective(**{**given, **switches})


def batch(draw: torch.Generator, size: int = 8) -> Batch:
    views = tuple(torch.rand(size, 3, 64, 64, generator=draw) for _ in range(2))
    orders = tuple(torch.rand(size, 64, generator=draw).argsort(1) for _ in range(2))
    return Batch(torch.arange(size), views, orders, torch.zeros(2, size, dtype=torch.long))


def gradient(one: Objective, seen: Batch) -> tuple[dict[str, float], torch.Tensor]:
    terms = one(seen)
    terms["loss"].backward()
    weight = one.model.encoder.blocks[0].attn.qkv.weight
    return {name: float(value.detach()) for name, value in terms.items()}, weight.grad.clone()


def test_a_step_in_pieces_is_the_whole_step(starters: Path):
    whole, pieces = (gradient(objective(torch.Generator().manual_seed(1), chunk_size=size),
                              batch(torch.Generator().manual_seed(2))) for size in (100, 3))
    assert pieces[0] == pytest.approx(whole[0], rel=1e-5)
    assert torch.allclose(pieces[1], whole[1], rtol=1e-3, atol=1e-6)


def test_detached_contrast_leaves_the_encoder_alone(starters: Path):
    seen = batch(torch.Generator().manual_seed(2))
    alone = gradient(objective(torch.Generator().manual_seed(1), contrast_weight=0.0), seen)[1]
    detached = gradient(objective(torch.Generator().manual_seed(1), detached=True), seen)[1]
    attached = gradient(objective(torch.Generator().manual_seed(1)), seen)[1]
    assert torch.allclose(detached, alone, atol=1e-7)
    assert not torch.allclose(attached, alone, atol=1e-7)


def test_the_oracle_finds_neighbours_of_the_persons_class(starters: Path):
    draw = torch.Generator().manual_seed(1)
    one = objective(draw, labels=torch.tensor([0, 0, 1, 1, -1, -1, -1, -1]))
    one.queue.push(torch.nn.functional.normalize(torch.randn(8, 16, generator=draw), dim=1), torch.arange(8))
    preferred = one._same_class(torch.arange(8))
    assert preferred is not None
    rows = {image: one.queue.owners[row].tolist() for image, row in enumerate(preferred)}
    assert rows == {0: [1], 1: [0], 2: [3], 3: [2], 4: [], 5: [], 6: [], 7: []}


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


@pytest.mark.parametrize("name", PRESETS["maect"])
def test_every_preset_is_valid(name: str):
    parse("maect", PRESETS["maect"][name])
