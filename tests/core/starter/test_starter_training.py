"""The starters' own training: resumed where it stopped, begun only from what fits."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from core.starter.training import Schedule, Training, optimisers

WIDTH, BATCH, TOTAL = 4, 8, 160


def begin(file: Path, beginning: dict[str, Tensor] | None = None) -> Training:
    torch.manual_seed(0)
    model = nn.Sequential()
    model.add_module("blocks", nn.Linear(WIDTH, WIDTH))
    model.add_module("head", nn.Linear(WIDTH, 1))
    return Training("a small model", model, optimisers(model, learning_rate=0.1, weight_decay=0.01,
                                                       matrices_in="blocks", betas=(0.9, 0.98)),
                    Schedule(total=TOTAL, warm_up_steps=3), file, seed=1, average_decay=0.9, beginning=beginning)


def go_on(training: Training, until: int = TOTAL) -> None:
    while training.seen < until:
        images = torch.randn(BATCH, WIDTH, generator=training.generator)
        training.update((training.model(images)[:, 0] - images.sum(1)).square().mean(), BATCH)


def test_resumed_training_ends_as_the_unbroken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("core.starter.training.SECONDS_BETWEEN_CHECKPOINTS", -1.0)
    unbroken = begin(tmp_path / "unbroken.pt")
    go_on(unbroken)
    go_on(begin(tmp_path / "broken.pt"), until=TOTAL // 2)
    resumed = begin(tmp_path / "broken.pt")
    assert (resumed.seen, resumed.done) == (TOTAL // 2, 0.5)
    go_on(resumed)
    assert resumed.is_over
    for key, value in unbroken.average.items():
        assert torch.equal(resumed.average[key], value)
        assert torch.equal(resumed.model.state_dict()[key], unbroken.model.state_dict()[key])


def test_the_average_is_not_the_last_step(tmp_path: Path):
    training = begin(tmp_path / "one.pt")
    go_on(training)
    assert not torch.equal(training.average["head.weight"], training.model.state_dict()["head.weight"])


def test_training_begins_from_given_tensors(tmp_path: Path):
    given = {key: torch.full_like(value, 0.5) for key, value in begin(tmp_path / "none.pt").average.items()}
    training = begin(tmp_path / "new.pt", given | {"a tensor of another model": torch.ones(1)})
    assert torch.equal(training.model.state_dict()["head.weight"], given["head.weight"])
    assert torch.equal(training.average["blocks.bias"], given["blocks.bias"])


def test_tensors_of_another_shape_of_model_are_refused(tmp_path: Path):
    with pytest.raises(ValueError, match=r"a small model.*lack blocks\.weight.*head\.bias"):
        begin(tmp_path / "new.pt", {"blocks.bias": torch.zeros(WIDTH)})


def test_a_loss_that_is_no_number_stops_it_by_name(tmp_path: Path):
    training = begin(tmp_path / "one.pt")
    with pytest.raises(FloatingPointError, match="a small model: lower the learning rate"):
        training.update(torch.tensor(float("nan"), requires_grad=True), BATCH)


@pytest.mark.parametrize(("step", "seen", "factor"), [(0, 0, 1 / 3), (2, 24, 1.0), (9, 80, 1.0), (19, 120, 0.5),
                                                      (20, 160, 0.0)])
def test_the_rate_rises_stays_and_falls(step: int, seen: int, factor: float):
    assert Schedule(total=160, warm_up_steps=3, decay_share=0.5).factor(step, seen) == pytest.approx(factor)
