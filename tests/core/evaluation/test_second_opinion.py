"""What an encoder that took no part thinks of a grouping: who is asked, about which images, and what it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from core.backbones.features import features
from core.backbones.load import load_backbone
from core.data.images import ImageSet, open_images
from core.evaluation import second_opinion as module
from core.evaluation.label_free import label_free_score
from core.evaluation.second_opinion import second_opinion
from core.shell import LocalRun


@pytest.fixture
def images(digits, tmp_path: Path) -> ImageSet:
    return open_images(digits[0], tmp_path / "unpacked")[0]


@pytest.fixture
def run(tmp_path: Path) -> LocalRun:
    return LocalRun(device=torch.device("cpu"), seed=5, folder=tmp_path)


def test_it_finds_true_groups_easier_to_repeat_than_groups_by_chance(images, digits, run) -> None:
    truth = np.array(digits[1])
    chance = np.random.default_rng(0).permutation(truth)
    told, by_chance = (second_opinion("turtle", {"spaces": "starter-clip"}, images, one, run)
                       for one in (truth, chance))
    assert told > 0.6 > 0.3 > by_chance


@pytest.mark.parametrize("method", ["maect", "finetune", "semimae"])
def test_what_teaches_an_encoder_is_judged_by_the_other(images, digits, run, method: str) -> None:
    truth = np.array(digits[1])
    assert second_opinion(method, {"backbone": "starter-mae"}, images, truth, run) == second_opinion(
        "kmeans", {"spaces": "starter-mae"}, images, truth, run)


@pytest.mark.parametrize(("spaces", "judge"), [
    ("starter-clip", "starter-mae"), ("starter-mae", "starter-clip"), ("clip-vit-b16", "starter-mae")])
def test_it_is_the_score_on_the_features_of_one_that_took_no_part(images, digits, run, spaces: str, judge: str) -> None:
    truth = np.array(digits[1])
    expected = label_free_score(features(load_backbone(judge), images, run).numpy(), truth, seed=0)
    assert second_opinion("kmeans", {"spaces": spaces}, images, truth, run) == expected


@pytest.mark.parametrize(("method", "settings"), [
    ("turtle", {"spaces": "starter-mae,starter-clip"}), ("must", {"backbone": "starter-clip"})],
    ids=["both took part", "names that nobody gave images of"])
def test_nobody_is_asked(images, run, method: str, settings: dict[str, object]) -> None:
    assert second_opinion(method, settings, images, np.zeros(len(images), dtype=int), run) is None


def test_of_many_images_the_same_few_are_read_for_a_run_and_its_baseline(images, digits, run, monkeypatch) -> None:
    read: list[tuple[str, ...]] = []

    def counted(backbone, chosen: ImageSet, run, **more):
        read.append(chosen.names)
        return features(backbone, chosen, run, **more)

    monkeypatch.setattr(module, "MAX_IMAGES", 30)
    monkeypatch.setattr(module, "features", counted)
    truth = np.array(digits[1])
    for method in ("kmeans", "turtle"):
        assert second_opinion(method, {"spaces": "starter-clip"}, images, truth, run) is not None
    assert len(read[0]) == 30 and read[0] == read[1]
