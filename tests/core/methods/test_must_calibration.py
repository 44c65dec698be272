"""The questions that MUST asks before and after: which balance, which threshold, what was kept."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from core.losses.pseudolabel import Balance
from core.methods import must_calibration as calibration


@pytest.mark.parametrize(("smaller", "favour", "tolerance"), [(100, 2.0, 1.0), (40, 0.0, calibration.LOOSE)],
                         ids=["even groups, one favoured", "uneven groups, well told apart"])
def test_an_even_balance_is_taken_unless_its_labels_are_harder_to_learn(smaller: int, favour: float, tolerance: float):
    centres = torch.where(torch.arange(200) < smaller, 2.0, -2.0)[:, None]
    features = centres + 0.8 * torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    logits = torch.stack([-features[:, 0] + favour, features[:, 0]], 1)
    loose = Balance(2, calibration.LOOSE)
    loose.fit(logits)
    found = calibration.better_balance(loose, logits, features, seed=0, beat=lambda: None)
    assert found.tolerance == tolerance


@pytest.mark.parametrize(("choice", "tolerance"), [("off", None), ("loose", 3.0), ("even", 1.0), ("auto", 3.0)])
def test_a_choice_is_a_tolerance(choice: str, tolerance: float | None):
    found = calibration.balance(choice, 4, torch.device("cpu"))
    assert (found and found.tolerance) == tolerance


@pytest.mark.parametrize(("labels", "used"), [([0, 1, 2, 3], 1.0), ([0, 0, 1, 1], 0.5), ([2, 2, 2, 2], 0.25)])
def test_the_classes_in_use_are_counted_by_perplexity(labels: list[int], used: float):
    answers = calibration.Answers(torch.eye(4)[labels], torch.zeros(4, 2))
    assert calibration.share_used(SimpleNamespace(balance=None), answers) == pytest.approx(used)
    even = Balance(4, 1.0)
    even.bias = torch.tensor([0.0, 0.0, -9.0, 0.0])  # a class that the balance rules out is not in use
    assert calibration.share_used(SimpleNamespace(balance=even), answers) < 1
