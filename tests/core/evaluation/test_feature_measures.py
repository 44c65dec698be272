"""Measures of frozen features, on features whose answer is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score, normalized_mutual_info_score

from core.data.images import ImageSet
from core.errors import DataError
from core.evaluation import clustering, neighbours, probe, shots
from core.evaluation.drawing import GAP_PX
from core.evaluation.evidence import Evidence, spread
from core.evaluation.label_free import stratified_folds
from core.methods.clusters import Start
from core.shell import LocalRun


class Known(Evidence):
    """Evidence whose features are given."""

    features = None


def evidence(features: np.ndarray, truth: np.ndarray, folder: Path) -> Evidence:
    """Return what measures look at, with these features (N, D) in place of a backbone's."""
    paths = tuple(f"{index}.png" for index in range(len(truth)))
    files = tuple(folder / path for path in paths)
    for index, file in enumerate(files):
        if not file.exists():
            file.write_text(f"no copy of another: {index}")
    run = LocalRun(device=torch.device("cpu"), seed=0, folder=folder)
    found = Known(run=run, paths=paths, true_names=tuple(f"class {one:02d}" for one in truth),
                  images=ImageSet(files, paths))
    object.__setattr__(found, "features", features.astype(np.float32))
    return found


def given_starts(*found: Start) -> Callable[..., Iterator[Start]]:
    """Return what stands in for k-means, whose hundred starts come to these."""
    def starts(points: np.ndarray, num_clusters: int, starts: int, run: LocalRun) -> Iterator[Start]:
        assert (len(points), num_clusters, starts) == (len(found[0].labels), 2, 100)
        yield from found

    return starts


@pytest.fixture
def apart(tmp_path: Path) -> Evidence:
    """Three far corners, 12 points around each."""
    truth = np.repeat([0, 1, 2], 12)
    return evidence(np.eye(3)[truth] * 20 + np.random.default_rng(0).normal(size=(36, 3)), truth, tmp_path)


@pytest.fixture
def noise(tmp_path: Path) -> Evidence:
    """Classes that have nothing to do with the features."""
    generator = np.random.default_rng(1)
    return evidence(generator.normal(size=(200, 5)), generator.integers(0, 2, 200), tmp_path)


def test_classes_that_lie_apart_are_told_apart_by_everything(apart: Evidence) -> None:
    assert probe.linear_probe(apart).figures == {"accuracy": 1.0, "accuracy_spread": 0.0}
    assert neighbours.nearest_neighbours(apart).figures["accuracy"] == 1.0
    assert neighbours.retrieval(apart).figures["top_5"] == 1.0
    assert set(shots.low_shot(apart).figures) == {f"{k}_shot{end}" for k in (1, 2, 5) for end in ("", "_spread")}
    assert min(value for name, value in shots.low_shot(apart).figures.items() if name.endswith("shot")) == 1.0
    assert clustering.silhouette(apart).figures["silhouette"] > 0.8
    found = clustering.group(apart.features, apart.truth, apart.run, starts=5)
    assert max(found.accuracies) == 1.0
    assert found.best.inertia < 36


def test_classes_that_are_noise_are_not(noise: Evidence) -> None:
    assert probe.linear_probe(noise).figures["accuracy"] == pytest.approx(0.5, abs=0.12)
    assert neighbours.nearest_neighbours(noise).figures["accuracy"] == pytest.approx(0.5, abs=0.12)
    assert neighbours.retrieval(noise).figures["top_5"] == pytest.approx(0.5, abs=0.12)
    assert abs(clustering.silhouette(noise).figures["silhouette"]) < 0.05


def test_clusters_that_are_known_are_compared_with_the_truth(tmp_path: Path) -> None:
    # Cluster by cluster: 5 of class 0 and 1 of class 1; 3 of class 1 and 1 of class 2; 2 of class 2.
    known = np.repeat([0, 1, 2], [6, 4, 2])
    truth = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2])
    order = np.random.default_rng(3).permutation(12)
    known, truth = known[order], truth[order]
    features = np.eye(3)[known] * 50 + np.random.default_rng(4).normal(size=(12, 3))
    found = clustering.clusters(evidence(features, truth, tmp_path)).figures
    assert found["cluster_accuracy"] == pytest.approx((5 + 3 + 2) / 12)
    assert found["bcubed_precision"] == pytest.approx(((25 + 1) / 6 + (9 + 1) / 4 + 4 / 2) / 12)
    assert found["nmi"] == pytest.approx(normalized_mutual_info_score(truth, known, average_method="geometric"))
    assert found["ami"] == pytest.approx(adjusted_mutual_info_score(truth, known))
    assert found["ari"] == pytest.approx(adjusted_rand_score(truth, known))


def test_the_start_of_the_lowest_loss_counts_although_another_is_nearer_to_the_truth(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = np.array([0, 0, 0, 1, 1, 1])
    monkeypatch.setattr(clustering, "kmeans_starts", given_starts(*(
        Start(inertia=inertia, centres=np.zeros((2, 2)), labels=np.array(labels))
        for inertia, labels in ((2.0, [1, 1, 1, 0, 0, 0]), (1.0, [0, 0, 1, 1, 1, 1]), (3.0, [0] * 6)))))
    found = clustering.clusters(evidence(np.eye(6)[:, :2], truth, tmp_path)).figures
    assert found["cluster_accuracy"] == pytest.approx(5 / 6)
    assert found["bcubed_precision"] == pytest.approx((2 + (1 + 9) / 4) / 6)
    assert found["cluster_accuracy_of_starts"] == pytest.approx((1 + 5 / 6 + 1 / 2) / 3)
    assert found["cluster_accuracy_of_starts_spread"] == pytest.approx(21**0.5 / 18)


def test_a_feature_counts_no_more_for_being_large(tmp_path: Path) -> None:
    truth = np.tile([0, 1], 20)
    generator = np.random.default_rng(5)
    told = 2 * truth[:, None] - 1 + 0.1 * generator.normal(size=(40, 2))
    features = np.hstack([told, 1000 * generator.normal(size=(40, 1))])
    assert clustering.clusters(evidence(features, truth, tmp_path)).figures["cluster_accuracy"] == 1.0


def test_the_ten_nearest_of_a_centre_are_shown_the_nearest_first(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    away = [7, -1, 12, 3, -9, 5, -11, 2, 8, -4, 10, -6]  # from the first centre, at 0
    places = np.array([*away, 102, 99], dtype=float)[:, None]  # the second is at 100
    truth = np.array([int(abs(one) in (2, 5, 9, 11, 12)) for one in away] + [0, 1])
    for index in range(14):
        Image.new("RGB", (8, 8), (18 * index, 255 - 18 * index, 40)).save(tmp_path / f"{index}.png")
    centres = (np.array([[0.0], [100.0]]) - places.mean()) / places.std()
    monkeypatch.setattr(clustering, "kmeans_starts", given_starts(
        Start(inertia=1.0, centres=centres, labels=np.repeat([0, 1], [12, 2]))))
    found = clustering.centroids(evidence(places, truth, tmp_path))
    assert found.figures == {"same_class_share": pytest.approx((7 / 10 + 1 / 2) / 2)}
    rows = [[1, 7, 3, 9, 5, 11, 0, 8, 4, 10], [13, 12]]
    assert list(found.table[1:]) == [[cluster, rank, f"{one}.png", f"class {truth[one]:02d}"]
                                     for cluster, row in enumerate(rows, 1) for rank, one in enumerate(row, 1)]
    assert found.picture is not None
    step, middle = clustering.TILE_PX + GAP_PX, clustering.TILE_PX // 2
    for down, row in enumerate(rows):
        for across, one in enumerate(row):
            assert found.picture.getpixel((across * step + middle, down * step + middle)) == (
                18 * one, 255 - 18 * one, 40)


def test_images_of_another_cluster_that_are_nearer_take_no_place(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = np.array([*range(-15, -4), 2.95, 3.1])[:, None]  # a wide cluster at 0, and a tight one beside its centre
    truth = np.array([0] * 11 + [1] * 2)
    for index in range(13):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{index}.png")
    centres = (np.array([[0.0], [3.0]]) - places.mean()) / places.std()
    monkeypatch.setattr(clustering, "kmeans_starts", given_starts(
        Start(inertia=1.0, centres=centres, labels=np.repeat([0, 1], [11, 2]))))
    found = clustering.centroids(evidence(places, truth, tmp_path))
    assert [(row[0], row[2]) for row in found.table[1:]] == [
        *((1, f"{index}.png") for index in range(10, 0, -1)), (2, "11.png"), (2, "12.png")]


def test_retrieval_counts_the_nearest_by_angle() -> None:
    labelled = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 9.0], [-1.0, 0.0]])
    labels = torch.tensor([0, 1, 1, 1])
    queries, truth = torch.tensor([[5.0, 0.0], [0.1, 0.1]]), torch.tensor([0, 1])
    # Nearest two: of the first query images 0 and 1 (one right), of the second 1 and, at the same angle, 0 or 2.
    assert neighbours.retrieved_share(labelled, labels, queries[:1], truth[:1], 2) == 0.5
    assert neighbours.retrieved_share(labelled, labels, queries[1:], truth[1:], 1) == 1.0
    assert neighbours.retrieved_share(labelled, labels, queries[:1], truth[:1], 9) == 0.25


@pytest.mark.parametrize("classes", [2, 4])
def test_a_probe_reads_features_as_they_are_although_it_was_fitted_to_standardised_ones(classes: int) -> None:
    generator = np.random.default_rng(2)
    truth = generator.integers(0, classes, 80)
    features = 300 + 1e-3 * (np.eye(classes)[truth] + 0.1 * generator.normal(size=(80, classes)))
    found = probe.fit(features, truth)
    assert found.weight.shape == (classes, classes)
    assert (found.answer(features) == truth).all()
    assert (probe.fit(features, np.full(80, 3)).answer(features) == 3).all()


def test_a_draw_shows_so_many_of_each_class_and_says_where_it_cannot() -> None:
    truth = np.array([0, 0, 0, 1, 1, 1, 1])
    shown = shots.draw(truth, 2, seed=0)
    assert np.bincount(truth[shown]).tolist() == [2, 2]
    assert (shown == shots.draw(truth, 2, seed=0)).all()
    with pytest.raises(DataError, match="a class has 3 image\\(s\\), and at least 4 of each are needed"):
        shots.draw(truth, 3, seed=0)


def test_shots_that_cannot_be_are_noted_and_none_at_all_is_refused(tmp_path: Path) -> None:
    truth = np.repeat([0, 1], 4)
    found = shots.low_shot(evidence(np.eye(2)[truth], truth, tmp_path))
    assert {"1_shot", "2_shot"} <= found.figures.keys()
    assert "5_shot" not in found.figures
    assert found.notes[0].startswith("5-shot: a class has 4 image(s)")
    with pytest.raises(DataError, match="1-shot"):
        shots.low_shot(evidence(np.eye(3), np.arange(3), tmp_path))


def test_folds_need_images_and_classes(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="6 image\\(s\\) of 1 class"):
        probe.linear_probe(evidence(np.eye(6), np.zeros(6, dtype=int), tmp_path))


def test_without_copies_folds_are_those_that_committed_measurements_were_made_with(noise: Evidence) -> None:
    assert (noise.folds == stratified_folds(noise.truth, 5, np.random.default_rng(noise.run.seed))).all()


def test_no_image_is_answered_by_its_copy(tmp_path: Path) -> None:
    generator = np.random.default_rng(6)
    features, truth = generator.normal(size=(150, 5)), generator.integers(0, 5, 150)
    for index in range(300):  # every picture twice
        (tmp_path / f"{index}.png").write_text(str(index % 150))
    twice = evidence(np.tile(features, (2, 1)), np.tile(truth, 2), tmp_path)
    assert (twice.folds[:150] == twice.folds[150:]).all()
    assert np.bincount(twice.folds).tolist() == [60] * 5
    assert neighbours.nearest_neighbours(twice).figures["accuracy"] < 0.3  # chance is 0.2
    assert probe.linear_probe(twice).figures["accuracy"] < 0.3


def test_no_copy_of_a_shown_image_is_asked_about(tmp_path: Path) -> None:
    generator = np.random.default_rng(6)
    features, truth = generator.normal(size=(40, 5)), np.repeat(np.arange(5), 8)
    for index in range(80):  # every picture twice: of five shown a class, five copies are right for nothing
        (tmp_path / f"{index}.png").write_text(str(index % 40))
    twice = evidence(np.tile(features, (2, 1)), np.tile(truth, 2), tmp_path)
    assert twice.different.tolist() == [True] * 40 + [False] * 40
    for _, draws in shots.splits(twice, (1, 5)):
        assert isinstance(draws, list)
        for one in draws:
            assert sorted([*one.shown, *one.asked]) == list(range(40))
    assert shots.low_shot(twice).figures["5_shot"] < 0.5  # chance is 0.2, and with copies 0.7


def test_copies_that_are_said_to_be_different_fall_together_too(tmp_path: Path) -> None:
    for index in range(20):
        (tmp_path / f"{index}.png").write_text(str(index // 2))
    truth = np.tile([0, 1], 10)
    folds = evidence(np.eye(20), truth, tmp_path).folds
    assert (folds[::2] == folds[1::2]).all()
    assert np.bincount(folds).tolist() == [4] * 5


def test_copies_are_counted_once_where_there_are_too_few_images(tmp_path: Path) -> None:
    for index in range(8):
        (tmp_path / f"{index}.png").write_text(str(index % 4))
    with pytest.raises(DataError, match="4 image\\(s\\) of 2 class\\(es\\), copies counted once"):
        probe.linear_probe(evidence(np.eye(8), np.tile([0, 1], 4), tmp_path))


def test_spread_is_the_deviation_of_a_sample() -> None:
    assert spread("x", [1.0, 2.0, 3.0]) == {"x": 2.0, "x_spread": 1.0}
    assert spread("x", [4.0]) == {"x": 4.0, "x_spread": 0.0}
