"""What clusters are called."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from core.backbones.load import load_backbone
from core.methods import naming
from core.methods.naming import match_names, name_clusters, suggest_names, vocabulary
from core.methods.spaces import Space, names_to_read
from core.methods.zeroshot import class_embeddings, load_text_backbone, template_sentences


def one_hot(*classes: int, num_classes: int) -> torch.Tensor:
    return functional.one_hot(torch.tensor(classes), num_classes).float()


def test_names_go_to_the_clusters_they_share_most_images_with():
    labeling, answers = one_hot(2, 2, 0, 0, 1, 1, num_classes=3), one_hot(0, 0, 1, 1, 2, 0, num_classes=3)
    assert match_names(labeling, answers) == [2, 0, 1]


def test_every_cluster_gets_one_name_even_if_the_text_always_answers_the_same():
    answers = torch.tensor([[0.9, 0.1], [0.6, 0.4]])  # both most like name 0, the first more so
    assert match_names(one_hot(1, 0, num_classes=2), answers) == [1, 0]


def test_a_person_s_labels_come_before_what_the_text_says():
    labeling = one_hot(0, 0, 0, 1, 1, 2, 2, 2, 2, num_classes=3)
    answers = one_hot(0, 0, 0, 1, 1, 2, 2, 2, 2, num_classes=3)
    nobody, one = torch.full((9,), -1), torch.tensor([1, -1, -1, -1, -1, -1, -1, -1, -1])
    assert match_names(labeling, answers, nobody) == match_names(labeling, answers) == [0, 1, 2]
    assert match_names(labeling, answers, one) == [1, 0, 2], "one word turns two clusters; the text names the third"


def test_of_two_clusters_with_the_same_labels_the_one_with_more_has_the_name():
    labeling = one_hot(0, 0, 0, 1, 1, 1, 2, 2, num_classes=3)
    answers = one_hot(0, 0, 0, 1, 1, 1, 2, 2, num_classes=3)
    labels = torch.tensor([2, -1, -1, 2, 2, 0, -1, -1])  # both are of name 2; cluster 1 has two of it, and one of 0
    assert match_names(labeling, answers, labels) == [0, 2, 1], "and the text gives cluster 0 its own name"


@pytest.fixture
def text_backbone(starters):
    return load_text_backbone("starter-clip")


def test_clusters_are_named_by_what_their_images_are_nearest_to(text_backbone):
    names = ("seven", "elephant", "motorway")
    weight = class_embeddings(text_backbone, names, template_sentences(naming.NAME_TEMPLATES))
    centred = functional.normalize(weight.T - weight.T.mean(dim=0), dim=1)
    space = Space(backbone=text_backbone, features=centred.repeat(4, 1) * 20)  # images 0, 1, 2, 0, 1, 2 …
    labeling = one_hot(*([1, 2, 0] * 4), num_classes=3)
    assert name_clusters(labeling, [space], names) == [1, 2, 0]


def test_suggestions_come_from_the_vocabulary_best_first_and_none_for_nothing(text_backbone):
    words = vocabulary()
    weight = class_embeddings(text_backbone, words, template_sentences(naming.WORD_TEMPLATES)).T
    wanted = ("zebra", "piano", "airport", "lemon", "snow")
    apart = weight[[words.index(word) for word in wanted]] - weight.mean(dim=0)
    images = functional.normalize(apart, dim=1) - functional.normalize(apart, dim=1).mean(dim=0)
    space = Space(backbone=text_backbone, features=images.repeat(3, 1))
    suggested = suggest_names(torch.tensor([0, 2, 3, 4, 5] * 3), 6, [space])
    assert [len(one) for one in suggested] == [naming.SUGGESTIONS, 0, *[naming.SUGGESTIONS] * 4]
    assert [one[0] for one in suggested if one] == list(wanted)


def test_the_first_space_that_reads_text_is_used(text_backbone):
    mae = Space(backbone=load_backbone("starter-mae"), features=torch.randn(4, 192))
    clip = Space(backbone=text_backbone, features=torch.randn(4, text_backbone.width))
    assert len(suggest_names(torch.tensor([0, 0, 1, 1]), 2, [mae, clip])) == 2
    with pytest.raises(ValueError, match="none of the spaces reads text"):
        suggest_names(torch.tensor([0, 0, 1, 1]), 2, [mae])


def test_a_space_that_reads_text_is_added_where_none_does():
    assert names_to_read(["starter-mae"]) == ("starter-mae", "starter-clip")
    assert names_to_read(["starter-mae", "clip-rn50"]) == ("starter-mae", "clip-rn50")


def test_the_vocabulary_is_some_hundred_different_words():
    words = vocabulary()
    assert 300 <= len(words) == len(set(words)) <= 600
    assert all(word == word.strip() for word in words)
