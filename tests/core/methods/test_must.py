"""MUST as a method: what it is asked, what it refuses, what it reports, and that it ends where it should."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from core.catalog import MustSettings
from core.data.images import ImageSet, open_images
from core.errors import Cancelled, ConfigError
from core.methods import must, zeroshot
from core.methods.must_objective import Batch, Objective
from core.problem import Problem
from core.training import loop
from tests.core import tiny_clip
from tests.core.tiny_must import NAMES, QUICK, Recorder, local_run, same, weights_of

pytestmark = pytest.mark.usefixtures("tiny_starters")


def test_the_result_is_an_adapted_classifier_with_the_backbone_s_own_scale(shapes: ImageSet, tmp_path: Path):
    problem = Problem(images=shapes, class_names=NAMES)
    before = zeroshot.adapt(zeroshot.ZeroShotSettings(templates="one"), problem, local_run(tmp_path / "zero"))
    after = must.adapt(QUICK, problem, local_run(tmp_path / "must"))
    (member,) = after.members
    assert (after.method, after.class_names, member.normalise) == ("must", NAMES, True)
    assert member.scale == pytest.approx(before.members[0].scale)
    assert weights_of(after).keys() == weights_of(before).keys(), "what only training needs is not in the result"
    assert not same(before, after)
    assert after.predict(shapes).probabilities.isfinite().all()


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(shapes: ImageSet, tmp_path: Path):
    problem = Problem(images=shapes, class_names=NAMES)
    first, again, other = (must.adapt(QUICK, problem, local_run(tmp_path / str(number), seed=seed))
                           for number, seed in enumerate((0, 0, 1)))
    assert same(first, again)
    assert not same(first, other)


def test_progress_rises_to_its_total_with_terms_and_answers(shapes: ImageSet, tmp_path: Path):
    recorder = Recorder()
    must.adapt(QUICK, Problem(images=shapes, class_names=NAMES), local_run(tmp_path, recorder))
    steps = [report.step for report in recorder.reports]
    assert steps == sorted(steps)
    assert {report.total for report in recorder.reports} == {round(4 * 38 / 12)}
    last = recorder.reports[-1]
    assert last.step == last.total
    assert last.terms.keys() == {"loss", "self_training", "fairness", "masked_modelling", "alignment", "confident"}
    assert len(last.histogram) == len(NAMES)
    assert 36 <= sum(last.histogram) <= 38
    assert last.samples
    for image, label, confidence in last.samples:
        assert 0 <= image < 38
        assert 0 <= label < len(NAMES)
        assert 0 < confidence <= 1


@pytest.mark.parametrize(("changes", "why"), [
    ({"mask_patch_px": 12}, r"mask_patch_px: 12 does not fit.*choose one of 8, 16, 32"),
    ({"mask_ratio": 0.0}, r"mask_ratio: 0 hides nothing"),
    ({"self_training": False, "fairness_weight": 0.0, "masked_modelling": False, "align_weight": 0.0},
     r"self_training: every term of the loss is off"),
])
def test_it_refuses_a_setting_by_name_before_any_step(changes: dict[str, object], why: str, shapes: ImageSet,
                                                      tmp_path: Path, stages: list[loop.Stage[Batch]]):
    with pytest.raises(ConfigError, match=why):
        must.adapt(dataclasses.replace(QUICK, **changes), Problem(images=shapes, class_names=NAMES),
                   local_run(tmp_path))
    assert not stages


def test_it_stops_when_asked(shapes: ImageSet, tmp_path: Path):
    run = local_run(tmp_path)
    run.cancel_requested = True
    with pytest.raises(Cancelled):
        must.adapt(QUICK, Problem(images=shapes, class_names=NAMES), run)


def test_a_step_of_many_pieces_hears_a_request_to_stop(shapes: ImageSet, tmp_path: Path,
                                                       monkeypatch: pytest.MonkeyPatch,
                                                       stages: list[loop.Stage[Batch]]):
    monkeypatch.setattr("core.training.heartbeat.SECONDS_BETWEEN_BEATS", 0.0)
    run = local_run(tmp_path)
    ask = Objective.ask_teacher

    def ask_to_stop(objective: Objective, weak: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        run.cancel_requested = True
        return ask(objective, weak)

    monkeypatch.setattr(Objective, "ask_teacher", ask_to_stop)
    with pytest.raises(Cancelled):
        must.adapt(dataclasses.replace(QUICK, images_at_once=3), Problem(images=shapes, class_names=NAMES), run)
    assert stages[0].objective.last_seen is None, "not even the first step's answers were waited for"  # type: ignore[attr-defined]


def batch_of(settings: MustSettings, problem: Problem, folder: Path, stages: list[loop.Stage[Batch]],
             first: int = 0) -> Iterator[Batch]:
    must.adapt(dataclasses.replace(settings, epochs=0.1), problem, local_run(folder))
    return stages[-1].batches(first)


def test_batches_are_functions_of_the_step(shapes: ImageSet, tmp_path: Path, stages: list[loop.Stage[Batch]]):
    problem = Problem(images=shapes, class_names=NAMES)
    from_start = batch_of(QUICK, problem, tmp_path, stages)
    all_of_them = [next(from_start) for _ in range(8)]
    for first in (1, 3, 5):
        later = stages[-1].batches(first)
        for step in range(first, first + 2):
            for one, other in zip(next(later), all_of_them[step], strict=True):
                assert torch.equal(one, other)
    seen = torch.cat([batch.indices for batch in all_of_them[:3]])
    assert len(seen.unique()) == 36, "an epoch shows an image once"


def test_a_step_is_never_larger_than_the_collection(shapes: ImageSet, tmp_path: Path, stages: list[loop.Stage[Batch]]):
    problem = Problem(images=shapes.subset(range(7)), class_names=NAMES)
    assert len(next(batch_of(dataclasses.replace(QUICK, batch_size=1024), problem, tmp_path, stages)).indices) == 7


def test_the_teacher_s_memory_can_be_a_share_of_the_run():
    settings = dataclasses.replace(QUICK, average_horizon_share=0.1, average_start=0.9)
    assert must._averages(settings, 200) == pytest.approx((0.9, 0.95, 20))
    assert must._averages(settings, 50) == pytest.approx((0.8, 0.8, 5)), "never longer at first than at last"
    assert must._averages(settings, 5) == pytest.approx((0.0, 0.0, 1)), "the teacher is the student"
    paper = dataclasses.replace(QUICK, average_horizon_share=0.0)
    assert must._averages(paper, 200) == (0.5, 0.9, 5)


def test_answers_come_from_the_student_when_asked(shapes: ImageSet, tmp_path: Path, stages: list[loop.Stage[Batch]]):
    problem = Problem(images=shapes, class_names=NAMES)
    for who in ("teacher", "student"):
        answering = must.adapt(dataclasses.replace(QUICK, labels_from=who), problem, local_run(tmp_path / who))
        torch.testing.assert_close(answering.members[0].weight, stages[-1].memory[f"{who}/classifier"])
    assert not torch.equal(stages[-1].memory["teacher/classifier"], stages[-1].memory["student/classifier"])


def test_it_mends_what_the_names_get_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Patterns that the image tower tells apart, asked for in words other than those it was taught."""
    monkeypatch.setenv("LABELFREE_WEIGHTS", str(tiny_clip.write_tiny_clip(tmp_path, steps=150)))
    truth = torch.tensor(tiny_clip.write_shapes(tmp_path / "plain", 240, plain=True))
    images, _ = open_images(tmp_path / "plain", tmp_path)
    problem = Problem(images=images, class_names=NAMES)
    words = {"templates": "own", "own_templates": "{}"}
    settings = MustSettings(
        **words, epochs=20, batch_size=60, base_learning_rate=1e-3, threshold_share=0.5, mask_patch_px=8,
        average_start=0.9, average_horizon_share=0.1, precision="float32")
    before = zeroshot.adapt(zeroshot.ZeroShotSettings(**words), problem, local_run(tmp_path / "zero")).predict(images)
    after = must.adapt(settings, problem, local_run(tmp_path / "must")).predict(images)
    errors_before, errors_after = (int((found.labels != truth).sum()) for found in (before, after))
    assert 12 <= errors_before <= 60
    assert errors_after <= errors_before / 2
    assert after.histogram.min() > 0.8 * 40, "no class dies"
