"""Labels in methods that find groups: they name the groups or have a head fitted to them, where asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core.backbones.load import load_backbone
from core.catalog import METHODS, learns_from_labels, parse
from core.classifier import Classifier
from core.errors import ConfigError, DataError
from core.evaluation.result import notes_on
from core.methods.identity import identity
from core.methods.labelled import fitted_head
from core.methods.resolve import resolve
from core.problem import Problem
from core.settings import Value
from core.shell import LocalRun

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
    right = [int(answers[image]) == label for image, label in labelled.labelled.items()]
    assert sum(right) >= len(right) - 1  # what stands for the others by its group may be near to one of them
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


@pytest.mark.parametrize(("labels", "shown", "never", "expected"), [
    ([0, 0, -1, -1, -1, -1], [1, 2], [], [0, 0, 1, 1, 2, 2]),  # as many examples as the labelled class: two each
    ([0, -1, -1, 1, -1, 2], [], [], [0, 0, 0, 1, 1, 2]),
    ([2, 2, 0, 0, 0, 0], [], [1], [2, 2, 0, 0, 0, 0])])  # nothing is left that could be an example
def test_a_class_that_nobody_labelled_is_shown_by_its_group(labels: list[int], shown: list[int], never: list[int],
                                                           expected: list[int]):
    features = torch.tensor([[0.0, 0.1], [0.0, -0.1], [5.0, 0.1], [5.0, -0.1], [0.0, 5.1], [0.0, 4.9]])
    if not shown and not never:
        features = torch.tensor([[0.0, 0.1], [0.0, -0.1], [0.1, 0.1], [5.0, -0.1], [5.0, 0.1], [0.0, 4.9]])
    centres = torch.tensor([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]])
    head = fitted_head(load_backbone("starter-mae"), features, torch.tensor(labels),
                       torch.cdist(features, centres).square())
    assert (head.shown_by_group, head.never_shown) == (shown, never)
    assert (features @ head.member.weight + head.member.bias).argmax(dim=1).tolist() == expected


def test_no_image_stands_for_two_classes():
    features = torch.tensor([[0.0, 0.0], [5.0, 0.0], [5.0, 0.1], [5.0, 3.0]])
    centres = torch.tensor([[0.0, 0.0], [5.0, 0.0], [5.0, 0.02]])  # the last two are nearest to the same image
    head = fitted_head(load_backbone("starter-mae"), features, torch.tensor([0, -1, -1, -1]),
                       torch.cdist(features, centres).square())
    assert (head.shown_by_group, head.never_shown) == ([1, 2], [])
    assert set((features @ head.member.weight + head.member.bias).argmax(dim=1).tolist()) == {0, 1, 2}


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
