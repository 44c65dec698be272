from __future__ import annotations

import pytest

from core.catalog import parse
from core.question import Question, fewest_labels, obstacle


def test_the_class_with_the_fewest_labels_counts():
    assert fewest_labels([0, 0, 1, 2, 2, 2], 3) == 1
    assert fewest_labels([0, 0], 2) == 0
    assert fewest_labels([], 0) == 0


@pytest.mark.parametrize(("method", "question", "possible"), [
    ("must", Question(num_images=100, num_classes=3), False),
    ("zeroshot", Question(num_images=100), False),
    ("kmeans", Question(num_images=100), False),
    ("kmeans", Question(num_images=100, num_classes=3), True),
    ("turtle", Question(num_images=100), True),
    ("must", Question(num_images=100, class_names=("a", "b")), True),
    ("semimae", Question(num_images=100, class_names=("a", "b")), False),
    ("semimae", Question(num_images=100, class_names=("a", "b"), labelled=1), True),
    ("semimae", Question(num_images=100, num_classes=2, labelled=1), False),
    ("maect", Question(num_images=100, class_names=("a", "b")), True),
])
def test_it_names_what_a_method_lacks_and_the_fix(method, question, possible):
    found = obstacle(method, question)
    assert (found is None) == possible
    assert found is None or all(found)


def test_labels_are_of_use_only_where_there_are_names():
    for values in ({"names_from_labels": True}, {"classifier_from": "labels"}):
        settings = parse("maect", values)
        assert obstacle("maect", Question(num_images=100, num_classes=2, labelled=9), settings).lacking == "classes"
        assert obstacle("maect", Question(num_images=100, class_names=("a", "b")), settings).lacking == "labels"
        assert obstacle("maect", Question(num_images=100, class_names=("a", "b"), labelled=9), settings) is None
