"""The terms of MUST's loss in a run: which are computed, what is hidden, what counts as confident."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from core.data.images import ImageSet
from core.methods import must
from core.methods.must_objective import Batch
from core.problem import Problem
from core.training import loop
from tests.core.tiny_must import NAMES, QUICK, Recorder, local_run

pytestmark = pytest.mark.usefixtures("tiny_starters")
ABLATIONS = {
    "self-training alone": ({"masked_modelling": False, "align_weight": 0.0}, {"self_training", "fairness"}),
    "and masked modelling": ({"align_weight": 0.0}, {"self_training", "fairness", "masked_modelling"}),
    "without fairness": ({"fairness_weight": 0.0}, {"self_training", "masked_modelling", "alignment"}),
    "without self-training": ({"self_training": False}, {"fairness", "masked_modelling", "alignment"}),
    "nearest": ({"nearest": 2}, {"self_training", "fairness", "masked_modelling", "alignment"}),
}


@pytest.mark.parametrize("ablation", ABLATIONS)
def test_a_term_that_is_switched_off_is_neither_computed_nor_reported(ablation: str, shapes: ImageSet, tmp_path: Path):
    changes, terms = ABLATIONS[ablation]
    recorder = Recorder()
    settings = dataclasses.replace(QUICK, epochs=1.0, **changes)
    must.adapt(settings, Problem(images=shapes, class_names=NAMES), local_run(tmp_path, recorder))
    assert recorder.reports[-1].terms.keys() == terms | {"loss", "confident"}


def test_self_training_alone_hides_nothing(shapes: ImageSet, tmp_path: Path, stages: list[loop.Stage[Batch]]):
    settings = dataclasses.replace(QUICK, epochs=1.0, masked_modelling=False, align_weight=0.0, mask_ratio=0.0)
    must.adapt(settings, Problem(images=shapes, class_names=NAMES), local_run(tmp_path))
    assert next(stages[0].batches(0)).hidden is None


@pytest.mark.parametrize(("average", "batch_size", "moving"), [
    ("auto", 12, False), ("auto", 5, True), ("moving", 12, True), ("batch", 5, False)])
def test_fairness_is_averaged_over_steps_where_classes_outnumber_the_batch(
        average: str, batch_size: int, moving: bool, shapes: ImageSet, tmp_path: Path,
        stages: list[loop.Stage[Batch]]):
    settings = dataclasses.replace(QUICK, fairness_average=average, batch_size=batch_size, epochs=0.1)
    must.adapt(settings, Problem(images=shapes, class_names=NAMES), local_run(tmp_path))
    assert ("fairness" in stages[0].memory) is moving


def test_the_threshold_can_be_the_confidence_of_a_share_of_images(shapes: ImageSet, tmp_path: Path,
                                                                  stages: list[loop.Stage[Batch]]):
    recorder = Recorder()
    settings = dataclasses.replace(QUICK, threshold_share=0.25, batch_size=38, epochs=1.0)
    must.adapt(settings, Problem(images=shapes, class_names=NAMES), local_run(tmp_path, recorder))
    assert float(stages[0].memory["threshold"]) != pytest.approx(QUICK.threshold)
    confident = next(report.terms["confident"] for report in recorder.reports if report.terms)
    assert confident == pytest.approx(0.25, abs=1.5 / 38)
