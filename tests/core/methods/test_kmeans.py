"""k-means as a classifier."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from torch.nn import functional

from core.backbones.load import load_backbone
from core.catalog import KMeansSettings
from core.classifier import Classifier
from core.errors import CheckpointError, DataError
from core.evaluation.metrics import hungarian_accuracy
from core.methods.kmeans import adapt, best_start, confidence_sharpness, members_of
from core.methods.spaces import Space
from core.problem import Problem
from core.shell import LocalRun


def local_run(folder, seed=0) -> LocalRun:
    return LocalRun(device=torch.device("cpu"), seed=seed, folder=folder)


def groups(width: int, num_images: int = 90) -> torch.Tensor:
    """Return features around three corners, 0, 1, 2, 0 …"""
    generator = torch.Generator().manual_seed(width)
    corners = torch.randn(3, width, generator=generator)[torch.arange(num_images) % 3]
    return corners * 3 + torch.randn(num_images, width, generator=generator) * 0.7


@pytest.fixture
def spaces(tiny_starters) -> list[Space]:
    return [Space(backbone=load_backbone("starter-clip"), features=groups(32)),
            Space(backbone=load_backbone("starter-mae"), features=groups(192))]


@pytest.mark.parametrize("num_spaces", [1, 2])
def test_its_answers_are_k_means_own_assignment(spaces, num_spaces, tmp_path):
    chosen = spaces[:num_spaces]
    points = torch.cat([functional.normalize(space.features, dim=1) for space in chosen], dim=1)
    model = KMeans(7, n_init=1, random_state=0).fit(points.numpy())
    centres = torch.from_numpy(model.cluster_centers_)
    classifier = Classifier(members=members_of(chosen, centres, sharpness=3.0), class_names=tuple("abcdefg"),
                            method="kmeans", combination="sum_of_logits")
    logits = sum(member.head(space.features) for member, space in zip(classifier.members, chosen))
    assert logits.argmax(dim=1).tolist() == model.labels_.tolist()
    squared = torch.cdist(points.double(), centres.double()).square().float()
    torch.testing.assert_close(logits.softmax(dim=1), (-3.0 * squared).softmax(dim=1), atol=1e-5, rtol=1e-4)


def test_it_keeps_the_best_of_its_starts(tmp_path):
    points = functional.normalize(torch.randn(80, 6, generator=torch.Generator().manual_seed(0)), dim=1)

    def inertia(centres: torch.Tensor) -> float:
        return float(torch.cdist(points, centres).min(dim=1).values.square().sum())

    one = best_start(points, 8, 1, local_run(tmp_path / "one"), "id", lambda done: None)
    many = best_start(points, 8, 15, local_run(tmp_path / "many"), "id", lambda done: None)
    assert inertia(many) < inertia(one)


def test_round_groups_in_few_directions_give_the_posterior_of_their_mixture():
    generator = torch.Generator().manual_seed(0)
    residuals = torch.zeros(20_000, 50)
    residuals[:, :4] = 0.3 * torch.randn(20_000, 4, generator=generator)
    assert confidence_sharpness(residuals) == pytest.approx(1 / (2 * 0.3**2), rel=0.03)


def test_images_that_are_their_centres_still_get_finite_confidences():
    assert np.isfinite(confidence_sharpness(torch.zeros(5, 3)))


def test_it_separates_groups_and_counts_them(tiny_starters, digit_images, tmp_path):
    classifier = adapt(KMeansSettings(starts=3), Problem(images=digit_images, num_classes=4), local_run(tmp_path))
    labels = classifier.predict(digit_images).labels
    assert classifier.class_names == ("cluster 1", "cluster 2", "cluster 3", "cluster 4")
    assert classifier.settings["clusters_found"] == len(labels.unique())
    assert [len(words) for words in classifier.settings["suggested_names"]] == [5, 5, 5, 5]


def test_names_change_what_clusters_are_called_not_what_they_hold(tiny_starters, digit_images, tmp_path, digit_names):
    settings = KMeansSettings(starts=2)
    named = adapt(settings, Problem(images=digit_images, class_names=digit_names), local_run(tmp_path / "a"))
    plain = adapt(settings, Problem(images=digit_images, num_classes=10), local_run(tmp_path / "b"))
    assert named.class_names == digit_names
    labels = [one.predict(digit_images).labels.tolist() for one in (named, plain)]
    assert hungarian_accuracy(*labels) == 1.0


def test_it_asks_how_many(tiny_starters, digit_images, tmp_path):
    with pytest.raises(DataError, match="k-means needs to know how many"):
        adapt(KMeansSettings(), Problem(images=digit_images), local_run(tmp_path))


def test_it_refuses_the_checkpoint_of_another_run(tiny_starters, digit_images, tmp_path):
    adapt(KMeansSettings(starts=1), Problem(images=digit_images, num_classes=3), local_run(tmp_path))
    with pytest.raises(CheckpointError, match="belongs to a run with other settings"):
        adapt(KMeansSettings(starts=1), Problem(images=digit_images, num_classes=4), local_run(tmp_path))
