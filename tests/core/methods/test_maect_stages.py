"""The stages of MAE-CT: which there are, with which head each begins, and where a killed run goes on."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pytest
import torch

from core.catalog import parse
from core.methods.maect_objective import Batch
from core.methods.maect_stages import plans
from core.problem import Problem
from core.run import Progress
from core.settings import Value
from core.shell import LocalRun
from core.training import loop
from tests.core.quick_maect import tuned
from tests.core.recorder import Recorder


@pytest.mark.parametrize(("switches", "stages"), [
    ({}, ["contrastive tuning"]),
    ({"preparing_epochs": 1.0}, ["preparing the head", "contrastive tuning"]),
    ({"pretraining_epochs": 1.0, "pretraining_contrast_weight": 0.001, "epochs": 0.0}, ["pretraining"]),
    ({"pretraining_epochs": 1.0, "pretraining_detached": True}, ["pretraining", "contrastive tuning"]),
    ({"mask_ratio": 0.75, "nearest": 0, "augmentation": "strong", "pooling": "class"}, ["contrastive tuning"]),
])
def test_every_switch_of_the_papers_tables_runs(problem: Problem, tmp_path: Path, switches: dict[str, Value],
                                                stages: list[str]):
    recorder = Recorder()
    classifier = tuned(problem, tmp_path, recorder, **switches)
    learning = ("pretraining", "preparing the head", "contrastive tuning")
    assert [name for name in recorder.stages if name in learning] == stages
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


def kill(after: int, progress: Progress) -> None:
    if progress.step == after:
        raise KeyboardInterrupt


def test_with_a_new_head_a_killed_run_ends_as_an_unbroken_one(problem: Problem, tmp_path: Path,
                                                              monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(loop, "SECONDS_BETWEEN_REPORTS", 0.0)
    switches = {**COMBINED, "preparing_epochs": 1.0}  # three steps a stage
    unbroken = tuned(problem, tmp_path / "unbroken", **switches)

    for killed_after in (2, 3, 4, 6, 8):
        folder = tmp_path / f"killed after {killed_after}"
        with pytest.raises(KeyboardInterrupt):
            tuned(problem, folder, Recorder(partial(kill, killed_after)), **switches)
        resumed = tuned(problem, folder, **switches)
        for name, value in unbroken.members[0].backbone.visual.state_dict().items():
            assert torch.equal(resumed.members[0].backbone.visual.state_dict()[name], value), (killed_after, name)
        assert torch.equal(resumed.members[0].weight, unbroken.members[0].weight), killed_after
