"""The questions that MUST asks before and after: which balance, which threshold, what was kept."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional

from core.catalog import MustSettings
from core.data.images import open_images
from core.losses.pseudolabel import Balance, pseudo_labels
from core.methods import must_calibration as calibration
from core.methods.naming import vocabulary
from core.methods.zeroshot import class_embeddings, load_text_backbone, template_sentences
from core.shell import LocalRun


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


@pytest.mark.parametrize("share", [0.3, 0.5])
def test_the_surest_of_whom_many_are_equally_sure_teach(share: float):
    sure = torch.tensor([30.0] * 70 + [1.0] * 30)  # in float32, seventy are as sure as can be
    answers = calibration.Answers(torch.stack([sure, torch.zeros(100)], 1), torch.zeros(100, 2))
    asked = SimpleNamespace(balance=None, threshold=torch.tensor(0.7))
    calibration.calibrate(asked, MustSettings(threshold_share=share), answers, 0, lambda: None)
    assert pseudo_labels(answers.logits, asked.threshold).confident.sum() == 70


@pytest.mark.parametrize("is_confirmed", [True, False], ids=["names of the things", "names at random"])
def test_fewer_classes_are_expected_where_there_are_more_names_than_things(
        is_confirmed: bool, digits: tuple[Path, list[int]], digit_names: tuple[str, ...], tmp_path: Path):
    images, _ = open_images(digits[0], tmp_path)
    backbone = load_text_backbone("starter-clip")
    names = (*digit_names, *[word for word in vocabulary() if word not in digit_names][:20])
    head = class_embeddings(backbone, names, template_sentences("one"))
    if not is_confirmed:
        head = functional.normalize(torch.randn(head.shape, generator=torch.Generator().manual_seed(0)), dim=0)
    run = LocalRun(device=torch.device("cpu"), seed=0, folder=tmp_path)
    found = calibration.share_expected(backbone, head, images, run)
    assert found == 1.0 if not is_confirmed else 0.1 < found < 0.5


@pytest.mark.parametrize(("labels", "used"), [([0, 1, 2, 3], 1.0), ([0, 0, 1, 1], 0.5), ([2, 2, 2, 2], 0.25)])
def test_the_classes_in_use_are_counted_by_perplexity(labels: list[int], used: float):
    answers = calibration.Answers(torch.eye(4)[labels], torch.zeros(4, 2))
    assert calibration.share_used(SimpleNamespace(balance=None), answers) == pytest.approx(used)
    even = Balance(4, 1.0)
    even.bias = torch.tensor([0.0, 0.0, -9.0, 0.0])  # a class that the balance rules out is not in use
    assert calibration.share_used(SimpleNamespace(balance=even), answers) < 1
