"""The record of a run's answers: counted right, and JSON as it stands."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from core.classifier import Predictions
from core.evaluation.guard import evenness
from core.evaluation.result import CONFIDENCE_BINS, Result, summarise


def summary(probabilities: list[list[float]], **settings: object) -> Result:
    """The record of these answers over two clearly separated groups of features."""
    names = tuple(f"cluster {number}" for number in range(1, len(probabilities[0]) + 1))
    answers = Predictions(torch.tensor(probabilities))
    spaces = [torch.eye(len(names))[answers.labels] * 9 + torch.randn(len(probabilities), len(names)) * 0.01]
    made = SimpleNamespace(class_names=names, settings=settings)  # all that is read of a classifier
    return summarise(made, answers, spaces, seed=0, seconds=1.5, refused=2)


def test_it_counts_classes_and_confidences() -> None:
    found = summary([[0.96, 0.04, 0.0]] * 20 + [[0.3, 0.7, 0.0]] * 10)
    assert found.histogram == (20, 10, 0)
    assert found.classes_found == 2
    assert found.num_classes == 3
    assert len(found.confidence_histogram) == CONFIDENCE_BINS
    assert found.confidence_histogram[19] == 20
    assert sum(found.confidence_histogram) == 30


def test_it_scores_what_is_learnable() -> None:
    assert summary([[1.0, 0.0]] * 20 + [[0.0, 1.0]] * 20).label_free_score == 1.0
    assert summary([[1.0, 0.0]] * 20).label_free_score == 0.0


def test_a_confidence_that_rounds_above_one_is_counted() -> None:
    assert summary([[1.0000001, 0.0]] * 2 + [[0.0, 1.0]] * 2).confidence_histogram[19] == 4


def test_it_takes_the_names_that_a_method_suggests() -> None:
    found = summary([[1.0, 0.0], [0.0, 1.0]] * 5, suggested_names=[["heron", "crane"], []])
    assert found.suggested_names == (("heron", "crane"), ())


def test_it_says_where_must_kept_zero_shot() -> None:
    found = summary([[1.0, 0.0], [0.0, 1.0]] * 5, answers_kept=0.132, least_kept=0.4)
    (note,) = found.notes
    assert note.startswith("Zero-shot was kept.")
    assert "only 13 %" in note and "below 40 %" in note
    assert summary([[1.0, 0.0], [0.0, 1.0]] * 5, answers_kept=0.4, least_kept=0.4).notes == ()
    (crowded,) = summary([[1.0, 0.0], [0.0, 1.0]] * 5, answers_kept=0.6, classes_used=0.34, least_used=0.5).notes
    assert "crowded into 34 % of the classes; below 50 % the names probably mean little" in crowded
    few: dict[str, object] = {"classes_expected": 0.4, "least_used": 0.5, "balanced": True}
    (collapsed,) = summary([[1.0, 0.0], [0.0, 1.0]] * 5, classes_used=0.1, **few).notes
    assert collapsed.startswith("Zero-shot, balanced, was kept.")
    assert "crowded into 10 % of the classes; below 20 % they have probably collapsed" in collapsed
    assert collapsed.endswith("zero-shot uses 40 % of them. Leave out what is in no image, and adapt once more.")
    (drifted,) = summary([[1.0, 0.0], [0.0, 1.0]] * 5, answers_kept=0.1, least_kept=0.2, classes_used=0.3, **few).notes
    assert "only 10 %" in drifted and drifted.endswith("and adapt once more.")
    assert summary([[1.0, 0.0], [0.0, 1.0]] * 5, classes_used=0.21, **few).notes == ()
    assert summary([[1.0, 0.0], [0.0, 1.0]] * 5, least_kept=0.0).notes == ()


def test_it_says_which_classes_nobody_labelled() -> None:
    shown, never = summary([[1.0, 0.0], [0.0, 1.0]] * 5, unlabelled_classes=["heron"],
                           unanswered_classes=[f"class {number}" for number in range(7)]).notes
    assert shown.startswith("Nobody labelled an image of heron: the images nearest")
    assert never == ("Nobody labelled an image of class 0, class 1, class 2, class 3, class 4 and 2 more: no image was "
                     "left to stand for it, so it is never answered.")


def test_it_is_json_as_it_stands() -> None:
    found = summary([[1.0, 0.0], [0.0, 1.0]] * 5)
    again = json.loads(json.dumps(found.to_json()))
    assert again["histogram"] == [5, 5]
    assert again["measured"] is None
    assert again["refused"] == 2
    assert not any(isinstance(value, np.generic) for value in again.values())


def test_a_listener_may_stop_the_score() -> None:
    def stop(fold: int) -> None:
        raise RuntimeError(f"stopped at {fold}")

    answers = Predictions(torch.tensor([[1.0, 0.0], [0.0, 1.0]] * 10))
    made = SimpleNamespace(class_names=("a", "b"), settings={})
    with pytest.raises(RuntimeError, match="stopped at 0"):
        summarise(made, answers, [torch.randn(20, 4)], seed=0, seconds=0, on_fold=stop)


def test_the_evenness_that_is_kept_is_that_of_the_labels_learnt_from() -> None:
    answers = Predictions(torch.eye(2)[[0, 1] * 10])
    found = summarise(SimpleNamespace(class_names=("a", "b"), settings={}), answers, [torch.randn(20, 4)], seed=0,
                      seconds=0, told=[0, 0, 0, 1])
    assert found.signals["label_evenness"] == pytest.approx(evenness([3, 1]))
    assert found.signals["label_evenness"] < 0.9
