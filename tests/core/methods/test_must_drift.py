"""MUST whose names drift or whose classes empty: zero-shot is kept."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from core.catalog import ZeroShotSettings
from core.data.images import ImageSet
from core.methods import must, zeroshot
from core.problem import Problem
from tests.core.tiny_must import NAMES, QUICK, Recorder, local_run

pytestmark = pytest.mark.usefixtures("tiny_starters")


def test_where_names_drift_the_answers_stay_zero_shot_s(shapes: ImageSet, tmp_path: Path):
    problem = Problem(images=shapes, class_names=NAMES)
    before = zeroshot.adapt(ZeroShotSettings(templates="one"), problem, local_run(tmp_path / "before")).predict(shapes)
    free, recorder = dataclasses.replace(QUICK, least_kept=0.0), Recorder()
    after = must.adapt(free, problem, local_run(tmp_path / "free")).predict(shapes)
    kept = float((after.labels == before.labels).float().mean())
    assert 0 < kept < 1
    strict = dataclasses.replace(QUICK, least_kept=1.0)
    run = local_run(tmp_path / "strict", recorder)
    guarded = must.adapt(strict, problem, run)
    assert all(one.caption.endswith("which was not kept.") for one in run.pictures.drawn)
    assert torch.equal(guarded.predict(shapes).probabilities, before.probabilities)
    assert guarded.settings["answers_kept"] == pytest.approx(kept, abs=0.1)
    assert recorder.reports[-1].stage == "keeping zero-shot: names drifted"


def test_where_the_answers_crowd_into_few_classes_zero_shot_is_kept(shapes: ImageSet, tmp_path: Path):
    problem = Problem(images=shapes, class_names=NAMES)
    before = zeroshot.adapt(ZeroShotSettings(templates="one"), problem, local_run(tmp_path / "before")).predict(shapes)
    for least, stands in ((0.1, True), (1.0, False)):
        settings = dataclasses.replace(QUICK, least_used=least)
        found = must.adapt(settings, problem, local_run(tmp_path / str(least)))
        assert 0.1 < found.settings["classes_used"] < 1
        assert torch.equal(found.predict(shapes).probabilities, before.probabilities) is not stands


def test_the_zero_shot_that_is_kept_is_balanced_as_the_teaching_was(shapes: ImageSet, tmp_path: Path):
    problem = Problem(images=shapes, class_names=NAMES)
    before = zeroshot.adapt(ZeroShotSettings(templates="one"), problem, local_run(tmp_path / "before")).predict(shapes)
    settings = dataclasses.replace(QUICK, least_kept=1.0, label_balance="even")
    after = must.adapt(settings, problem, local_run(tmp_path / "after")).predict(shapes)
    even = torch.full((len(NAMES),), 1 / len(NAMES))
    assert (before.probabilities.mean(0) - even).abs().max() > 0.05
    torch.testing.assert_close(after.probabilities.mean(0), even, atol=0.02, rtol=0)
