"""TURTLE's two loops against numbers recorded from the authors' code (see tests/golden/README.md)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.evaluation.metrics import assign, hungarian_accuracy, mean_per_class
from core.losses.agreement import labeling
from core.training.bilevel import LabelingSearch
from core.training.linear import Batch, Linear, TaskEncoder

GOLDEN = Path(__file__).parents[2] / "golden"


class Recording:
    """What the authors' code drew and ended with, in one file."""

    def __init__(self, name: str) -> None:
        with np.load(GOLDEN / name) as file:
            self.arrays = {key: torch.from_numpy(file[key]) for key in file.files if file[key].ndim}
            self.config: dict[str, Any] = json.loads(str(file["config"]))
            self.accuracies = float(file["val_cluster_acc"]), float(file["val_mean_per_class"])
        self.spaces = range(len(self.config["dims"]))

    def each(self, key: str) -> list[torch.Tensor]:
        return [self.arrays[f"{key}{space}"] for space in self.spaces]

    def linears(self, key: str, row: int | None = None) -> list[Linear]:
        pick = slice(None) if row is None else row
        return [(weight[pick], bias[pick]) for weight, bias in zip(self.each(f"{key}/W"), self.each(f"{key}/b"))]

    def search(self) -> LabelingSearch:
        config = self.config
        search = LabelingSearch(
            self.each("Z"), config["classes"], inner_steps=config["M"], sample_size=config["batch"],
            outer_learning_rate=config["outer_lr"], inner_learning_rate=config["inner_lr"],
            warm_start=config["warm_start"], entropy_weight=config["gamma"], seed=0)
        search.task = TaskEncoder(self.linears("task_init"))
        search.inner.restart(self.linears("inner_init", row=0))
        for step in range(config["T"]):
            search.step(self.arrays["batch_indices"][step].long(),
                        None if config["warm_start"] else self.linears("inner_init", row=step + 1))
        return search


@pytest.mark.parametrize("name", ["turtle_cold_2space.npz", "turtle_warm_1space.npz"])
def test_it_ends_where_the_authors_code_ends(name):
    recording = Recording(name)
    found = recording.search().task
    started, ended = recording.linears("task_init"), recording.linears("task_final")
    for ours, first, final in zip(found.linears(), started, ended):
        for part in range(2):
            assert (ours[part] - final[part]).norm() <= 1e-4 * (final[part] - first[part]).norm()

    probabilities = labeling(found.logits(Batch(recording.each("Zval")))).T.detach()
    torch.testing.assert_close(probabilities, recording.arrays["val_probs"], atol=1e-5, rtol=0)
    labels, truth = probabilities.argmax(dim=1).numpy(), recording.arrays["y_val"].numpy()
    assert hungarian_accuracy(labels, truth) == pytest.approx(recording.accuracies[0])
    assert mean_per_class(assign(labels, truth), truth) == pytest.approx(recording.accuracies[1])


def blobs_search(**changes: Any) -> LabelingSearch:
    """Return a search over 60 points around three corners."""
    generator = torch.Generator().manual_seed(0)
    corners = torch.eye(3).repeat_interleave(20, dim=0)
    noise = torch.randn(2, 60, 3, generator=generator)
    features = [corners * 6 + noise[0], corners + 0.2 * noise[1]]
    settings: dict[str, Any] = {
        "inner_steps": 5, "sample_size": 40, "outer_learning_rate": 0.05, "inner_learning_rate": 0.05,
        "warm_start": False, "entropy_weight": 10.0, "seed": 3} | changes
    return LabelingSearch(features, 3, **settings)


def test_it_finds_well_separated_groups():
    search = blobs_search()
    for _ in range(100):
        search.step()
    assert hungarian_accuracy(search.probabilities().argmax(dim=1).tolist(), np.repeat([0, 1, 2], 20)) == 1.0


def test_the_loss_it_reports_is_its_terms_together():
    terms = blobs_search(entropy_weight=2.0).step()
    assert terms["loss"] == pytest.approx(terms["prediction_error"] - 2.0 * terms["class_entropy"], rel=1e-5)


@pytest.mark.parametrize("changes", [{}, {"warm_start": True}, {"sample_size": 1000}])
def test_a_restored_search_goes_on_as_if_never_stopped(changes):
    unbroken, stopped, resumed = (blobs_search(**changes) for _ in range(3))
    for _ in range(7):
        unbroken.step()
    for _ in range(4):
        stopped.step()
    resumed.restore(stopped.state())
    for _ in range(3):
        resumed.step()
    assert resumed.done == unbroken.done == 7
    assert torch.equal(resumed.task.parameters, unbroken.task.parameters)


def test_a_saved_state_does_not_move_with_the_search():
    search = blobs_search()
    state = search.state()
    before = {name: value.clone() for name, value in state.items()}
    search.step()
    assert all(torch.equal(state[name], before[name]) for name in state)
