"""MUST by numbers: the schedule of Eq. 1, rates, weights, views and masks of a run, and the balance of its answers."""

from __future__ import annotations

import dataclasses
from itertools import islice
from pathlib import Path

import pytest
import torch

from core.data.batches import view_seed
from core.data.images import ImageSet
from core.data.views import StrongView, WeakView, as_tensor
from core.losses.pseudolabel import Balance
from core.methods import must
from core.methods.must_objective import Batch, Weights
from core.problem import Problem
from core.training import loop
from tests.core.methods import test_must_golden
from tests.core.methods.test_must_golden import Recorded
from tests.core.tiny_must import NAMES, QUICK, local_run

recorded = test_must_golden.recorded
"""A fixture of that module."""


def test_a_run_learns_by_its_settings(shapes: ImageSet, tmp_path: Path, tiny_starters: Path,
                                      planned: list[loop.Stage[Batch]]):
    settings = dataclasses.replace(QUICK, fairness_weight=3.0, align_weight=0.3, nearest=2, layer_decay=0.5,
                                   weight_decay=0.05)
    must.adapt(settings, Problem(images=shapes, class_names=NAMES), local_run(tmp_path))
    (stage,) = planned
    student, teacher = stage.objective.student, stage.objective.teacher
    peak, floor = 1e-2 * 12 / 256, 1e-6 * 12 / 256
    assert [stage.learning_rate(step) for step in (0, stage.steps)] == pytest.approx([peak, floor])
    assert (stage.optimiser.defaults["betas"], stage.optimiser.defaults["eps"]) == ((0.9, 0.999), 1e-8)
    given = {name: (group["scale"], group["weight_decay"]) for group in stage.optimiser.param_groups
             for name in group["names"]}
    assert given["visual.conv1.weight"] == (0.5 ** (student.num_blocks + 1), 0.05)
    assert given["classifier"] == (1.0, 0.05)
    assert stage.objective.weights == Weights(fairness=3.0, align=0.3, nearest=2)
    assert not teacher.training
    with torch.no_grad():
        begun = teacher.classifier.clone()
        student.classifier += 1
    for step, average in ((0, 0.5), (1, 0.58), (5, 0.9)):  # Eq. 1, from 0.5 to 0.9 in five steps
        left = student.classifier - teacher.classifier
        stage.after_step(step)
        torch.testing.assert_close(student.classifier - teacher.classifier, average * left)
    assert not torch.equal(teacher.classifier, begun)


def test_the_teacher_sees_weak_views_and_the_student_strong_ones_with_other_patches_hidden_in_every_step(
        shapes: ImageSet, tmp_path: Path, tiny_starters: Path, planned: list[loop.Stage[Batch]]):
    settings = dataclasses.replace(QUICK, mirror=False, smallest_crop=0.6)
    must.adapt(settings, Problem(images=shapes, class_names=NAMES), local_run(tmp_path))
    seen, after = islice(planned[0].batches(0), 2)
    side = seen.weak.shape[2]
    for number, (view, found) in enumerate(((WeakView(side), seen.weak),
                                            (StrongView(side, False, smallest=0.6), seen.strong))):
        for image, pixels in zip(seen.indices.tolist(), found, strict=True):
            expected = view.pixels(shapes.load(image, view.at_least_px), view_seed(0, 0, image, number))
            assert torch.equal(pixels, as_tensor(expected))
    assert not torch.equal(seen.hidden, after.hidden)


def test_answers_that_teach_are_balanced_by_what_they_are_themselves(recorded: Recorded):
    objective, batch = recorded.objective(), next(recorded.batches(0))
    plain, _ = objective.ask_teacher(batch.weak)
    expected, objective.balance = (Balance(plain.shape[1], tolerance=1.0) for _ in range(2))
    expected.follow(plain)
    objective(batch)
    confidence, labels = expected(plain).softmax(dim=1).max(dim=1)
    assert expected.bias.abs().max() > 0.01
    torch.testing.assert_close(objective.last_seen[1].confidence, confidence)
    assert torch.equal(objective.last_seen[1].labels, labels)
