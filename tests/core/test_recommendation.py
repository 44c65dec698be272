from __future__ import annotations

import pytest

from core.catalog import BACKBONES, METHODS
from core.cost import cost
from core.question import Question, obstacle
from core.recommendation import WORTH_WAITING_SECONDS, larger_model, recommend_method
from core.settings import defaults, describe


@pytest.mark.parametrize(("question", "method"), [
    (Question(num_images=500, class_names=("cat", "dog")), "must"),
    (Question(num_images=49, class_names=("cat", "dog")), "zeroshot"),
    (Question(num_images=500, class_names=("cat", "dog"), confirmed=0.9), "must"),
    (Question(num_images=500, class_names=("cat", "dog"), confirmed=0.55), "turtle"),
    (Question(num_images=500, class_names=("cat", "dog"), confirmed=0.55, labelled=50, labels_per_class=3), "turtle"),
    (Question(num_images=500, class_names=("cat", "dog"), confirmed=0.55, labelled=8, labels_per_class=4), "semimae"),
    (Question(num_images=500, class_names=("cat", "dog"), confirmed=0.9, labelled=8, labels_per_class=4), "must"),
    (Question(num_images=49, class_names=("cat", "dog"), confirmed=0.55, labelled=8, labels_per_class=4), "zeroshot"),
    (Question(num_images=49, class_names=("cat", "dog"), confirmed=0.55), "zeroshot"),
    (Question(num_images=500, class_names=tuple(f"bird {number}" for number in range(501))), "zeroshot"),
    (Question(num_images=500, num_classes=7), "turtle"),
    (Question(num_images=49, num_classes=7), "kmeans"),
    (Question(num_images=500), "turtle"),
    (Question(num_images=10), "turtle"),
])
def test_it_recommends_by_names_number_and_size(question, method):
    found = recommend_method(question)
    assert found.method == method
    assert obstacle(method, question) is None
    assert found.reason.endswith(".")


@pytest.mark.parametrize("method", [one for one in METHODS if one not in ("zeroshot", "semimae")])
def test_a_method_that_learns_cannot_be_asked_about_more_classes_than_images(method):
    names = tuple(f"bird {number}" for number in range(501))
    found = obstacle(method, Question(num_images=500, class_names=names))
    assert found is not None and found.reason.startswith("501 classes for 500 images")
    assert obstacle(method, Question(num_images=501, class_names=names)) is None


@pytest.mark.parametrize(("method", "num_images", "on_gpu", "backbone", "words"), [
    ("must", 2_000, True, "clip-vit-l14", "about 17 minutes on the GPU here"),
    ("must", 10_000, True, "clip-vit-b16", "hours on the GPU here"),
    ("must", 2_000, False, "clip-vit-b16", "hours here, without a GPU"),
    ("zeroshot", 2_000, False, "clip-vit-l14", "about 25 minutes here, without a GPU"),
    ("turtle", 50_000, False, "clip-vit-b16", "hours here, without a GPU"),
    ("maect", 2_000, True, "mae-vit-b16", "minutes on the GPU here"),
])
def test_the_best_known_foundation_model_that_is_worth_waiting_for_is_named(
        method, num_images, on_gpu, backbone, words):
    settings, question = defaults(METHODS[method].settings), Question(num_images=num_images, class_names=("a", "b"))
    found = larger_model(method, settings, question, on_gpu)
    assert found.backbone == backbone and words in str(found)
    assert backbone in describe(METHODS[method].settings)[found.setting].choices
    assert ("hours" not in words) == (found.cost.seconds(on_gpu) <= WORTH_WAITING_SECONDS)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_a_larger_foundation_model_than_the_bundled(method):
    settings, question = defaults(METHODS[method].settings), Question(num_images=2_000, class_names=("a", "b"))
    found = larger_model(method, settings, question, on_gpu=True)
    assert BACKBONES[found.backbone].pretrained != "bundled"
    assert found.cost.gpu_seconds > cost(method, settings, question).gpu_seconds
    assert larger_model(method, settings | {found.setting: found.backbone}, question, on_gpu=True) is None


def test_nothing_is_said_of_larger_models_where_nobody_knows_how_long_they_take():
    assert larger_model("must", defaults(METHODS["must"].settings), Question(num_images=100), on_gpu=None) is None
