"""MUST with a warm-up on a larger collection: its own names, its own steps, and where a killed run goes on."""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path

import pytest
import torch

from core.data.images import ImageSet
from core.errors import CheckpointError
from core.methods import must, zeroshot
from core.methods.must_objective import Batch
from core.problem import Problem
from core.training import loop
from tests.core.tiny_must import NAMES, QUICK, Recorder, joint, local_run, same

pytestmark = pytest.mark.usefixtures("tiny_starters")


@pytest.mark.parametrize("further", [False, True], ids=["alone", "with further collections"])
@pytest.mark.parametrize("killed_after", [2, 4, 9])
def test_a_killed_run_with_a_warm_up_ends_as_an_unbroken_one(killed_after: int, further: bool, shapes: ImageSet,
                                                             tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    problem = dataclasses.replace(joint(shapes) if further else Problem(images=shapes, class_names=NAMES),
                                  warm_up=shapes.subset(range(5, 38)), warm_up_names=NAMES[:4])
    settings = dataclasses.replace(QUICK, threshold_share=0.5, fairness_average="moving", warm_up_epochs=1.5,
                                   label_balance="auto", least_kept=0.01)
    unbroken = must.adapt(settings, problem, local_run(tmp_path / "unbroken"))

    made = 0
    follow = must.ema.Teacher.follow

    def count(*arguments: object) -> None:
        nonlocal made
        follow(*arguments)  # type: ignore[arg-type]
        made += 1
        if made == killed_after:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(must.ema.Teacher, "follow", count)
        must.adapt(settings, problem, local_run(tmp_path / "killed"))
    recorder = Recorder()
    resumed = must.adapt(settings, problem, local_run(tmp_path / "killed", recorder))
    begun = next(report.step for report in recorder.reports if report.stage == "adapting" and report.terms)
    assert begun >= killed_after
    assert same(resumed, unbroken)
    assert resumed.settings == unbroken.settings, "the share of answers kept is in them"
    assert torch.equal(resumed.predict(shapes).labels, unbroken.predict(shapes).labels)


def test_the_warm_up_keeps_its_own_classifier_frozen(shapes: ImageSet, tmp_path: Path,
                                                     stages: list[loop.Stage[Batch]]):
    larger = shapes.subset(range(12, 38))
    problem = Problem(images=shapes, class_names=NAMES, warm_up=larger, warm_up_names=NAMES[:4])
    recorder = Recorder()
    must.adapt(dataclasses.replace(QUICK, warm_up_epochs=2.0), problem, local_run(tmp_path, recorder))
    warming, adapting = stages
    assert (warming.name, warming.first, warming.steps) == ("warming up", 0, round(2 * 26 / 12))
    assert (adapting.name, adapting.first) == ("adapting", warming.steps)
    assert adapting.total == warming.steps + adapting.steps
    learning = [{name for group in stage.optimiser.param_groups for name in group["names"]} for stage in stages]
    assert learning[1] - learning[0] == {"classifier"}
    assert (warming.memory["student/classifier"].shape[1], adapting.memory["student/classifier"].shape[1]) == (4, 6)
    text = zeroshot.adapt(zeroshot.ZeroShotSettings(templates="one"), Problem(images=shapes, class_names=NAMES[:4]),
                          local_run(tmp_path / "text"))
    torch.testing.assert_close(warming.memory["student/classifier"], text.members[0].weight)
    for report in recorder.reports:
        assert report.stage != "warming up" or not (report.histogram or report.samples), "images nobody can see"


@pytest.mark.parametrize("count", [1, 4, 15])
def test_a_warm_up_s_names_may_be_fewer_or_more(count: int, shapes: ImageSet, tmp_path: Path,
                                                stages: list[loop.Stage[Batch]]):
    names = tuple(f"{name} {number}" for number in range(3) for name in NAMES)[:count]  # 15 are more than a batch has
    problem = Problem(images=shapes, class_names=NAMES, warm_up=shapes.subset(range(5, 38)), warm_up_names=names)
    settings = dataclasses.replace(QUICK, threshold_share=0.5, label_balance="even")
    adapted = must.adapt(settings, problem, local_run(tmp_path))
    assert [stage.memory["student/classifier"].shape[1] for stage in stages] == [count, 6]
    assert ["fairness" in stage.memory for stage in stages] == [count > 12, False], "Eq. 3 of its own number of classes"
    assert adapted.class_names == NAMES
    assert adapted.predict(shapes).probabilities.shape == (38, 6)
    own = must.adapt(settings, dataclasses.replace(problem, warm_up_names=()), local_run(tmp_path / "own"))
    assert not same(adapted, own), "what the larger collection shows is anchored by its own names"


def test_a_checkpoint_belongs_to_its_warm_up_collection_and_its_names(shapes: ImageSet, tmp_path: Path):
    problem = Problem(images=shapes, class_names=NAMES, warm_up=shapes.subset(range(5, 38)), warm_up_names=NAMES[:4])
    must.adapt(QUICK, problem, local_run(tmp_path))
    change = partial(dataclasses.replace, problem)
    for other in (change(warm_up=None), change(warm_up=shapes.subset(range(6, 38))), change(warm_up_names=()),
                  change(warm_up_names=NAMES[1:5])):
        with pytest.raises(CheckpointError, match="other settings, images"):
            must.adapt(QUICK, other, local_run(tmp_path))


def test_without_a_warm_up_collection_there_is_no_warm_up(shapes: ImageSet, tmp_path: Path,
                                                          stages: list[loop.Stage[Batch]]):
    must.adapt(QUICK, Problem(images=shapes, class_names=NAMES), local_run(tmp_path))
    assert [stage.name for stage in stages] == ["adapting"]
