"""MUST with further collections: all images teach, and only the run's own are answered and reported."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from core.catalog import ZeroShotSettings
from core.data.images import ImageSet
from core.losses.pseudolabel import PseudoLabels
from core.methods import must, must_calibration, zeroshot
from core.methods.must_objective import Batch
from core.methods.newest_answers import newest_answers
from core.problem import Problem
from core.training import loop
from tests.core.tiny_must import NAMES, QUICK, Recorder, joint, local_run

pytestmark = pytest.mark.usefixtures("tiny_starters")


def test_it_adapts_to_the_images_of_all_collections_each_once_an_epoch(shapes: ImageSet, tmp_path: Path,
                                                                       stages: list[loop.Stage[Batch]]):
    recorder = Recorder()
    run = local_run(tmp_path, recorder)
    must.adapt(dataclasses.replace(QUICK, batch_size=19), joint(shapes), run)
    (adapting,) = stages
    assert adapting.steps == round(4 * 38 / 19)
    batches = adapting.batches(0)
    seen = torch.cat([next(batches).indices for _ in range(2)])
    assert seen.sort().values.tolist() == list(range(38))
    for report in recorder.reports:  # who looks at this run may not be allowed to see further collections
        assert sum(report.histogram) <= 13
        assert all(image < 13 for image, _, _ in report.samples)
    assert sum(recorder.reports[-1].histogram) == 13


def test_what_teaches_is_asked_of_all_images_and_what_zero_shot_may_keep_of_the_run_s_own(
        shapes: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked: dict[str, object] = {}

    def watch(name: str, note: Callable[..., object]) -> None:
        original = getattr(must_calibration, name)

        def noted(*arguments: object) -> object:
            asked[name] = note(*arguments)
            return original(*arguments)

        monkeypatch.setattr(must_calibration, name, noted)

    watch("calibrate", lambda _objective, _settings, zero_shot, *_: len(zero_shot.logits))
    watch("share_used", lambda _objective, adapted: len(adapted.logits))
    watch("share_kept", lambda _objective, first, adapted: (sorted(first.labels.tolist()), len(adapted.logits)))
    problem = joint(shapes)
    settings = dataclasses.replace(QUICK, least_kept=0.01, least_used=0.01, threshold_share=0.5)
    must.adapt(settings, problem, local_run(tmp_path / "joint"))
    zero_shot = zeroshot.adapt(ZeroShotSettings(templates="one"), problem, local_run(tmp_path / "zero"))
    own = sorted(zero_shot.predict(problem.images).labels.tolist())
    assert asked == {"calibrate": 38, "share_used": 38, "share_kept": (own, 13)}
    must.adapt(settings, dataclasses.replace(problem, also=()), local_run(tmp_path / "alone"))
    assert asked == {"calibrate": 13, "share_used": 13, "share_kept": (own, 13)}


def test_a_run_without_further_collections_is_called_what_it_was_before_there_were_any(shapes: ImageSet):
    problem = Problem(images=shapes, class_names=NAMES)
    said = [dataclasses.asdict(QUICK), shapes.fingerprint, NAMES, 5, "", (), ""]
    assert must._identity(QUICK, problem, 5) == hashlib.sha256(json.dumps(said).encode()).hexdigest()
    assert must._identity(QUICK, joint(shapes), 5) != must._identity(
        QUICK, dataclasses.replace(joint(shapes), also=()), 5)


def test_the_newest_answers_are_of_the_run_s_own_images():
    answers = PseudoLabels(torch.tensor([2, 0, 1, 1]), torch.rand(4), torch.ones(4, dtype=torch.bool))
    batch = torch.tensor([1, 3, 0, 4]), answers, torch.tensor([False, True, True, False])
    found = newest_answers(torch.tensor([1, 2, -1, 0, 1]), batch, 3, own=3)
    assert found.histogram == (0, 1, 1)
    assert [one[:2] for one in found.samples] == [(0, 1), (1, 2)]
    assert [one[0] for one in newest_answers(torch.tensor([1, 2, -1, 0, 1]), batch, 3).samples] == [3, 0, 1, 4]
