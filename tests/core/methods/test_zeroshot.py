"""Class names read as a classifier."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from core.catalog import METHODS, ZeroShotSettings, parse
from core.errors import ConfigError, DataError
from core.methods.resolve import resolve
from core.methods.zeroshot import adapt, class_embeddings, load_text_backbone, template_sentences
from core.problem import Problem
from core.shell import LocalRun


@pytest.fixture
def backbone(tiny_starters):
    return load_text_backbone("starter-clip")


def test_an_embedding_is_the_normalised_mean_of_normalised_sentences(backbone):
    weight = class_embeddings(backbone, ["cat", "dog"], ["a {}.", "the {}, again the {}"])
    first, second = functional.normalize(backbone.encode_text(["a dog.", "the dog, again the dog"]), dim=1)
    torch.testing.assert_close(weight[:, 1], functional.normalize(first + second, dim=0))
    assert weight.shape == (backbone.width, 2)


def test_many_names_are_read_in_parts_and_counted(backbone):
    seen: list[int] = []
    names = [f"thing {number}" for number in range(7)]
    together = class_embeddings(backbone, names, ["a {}."] * 80, seen.append)
    assert seen == [3, 6, 7]
    torch.testing.assert_close(together[:, 6:], class_embeddings(backbone, names[6:], ["a {}."]), atol=1e-5, rtol=1e-4)


def test_braces_in_a_name_are_only_a_name(backbone):
    assert torch.isfinite(class_embeddings(backbone, ["{0}", "{}"], ["a {}."])).all()


@pytest.mark.parametrize(("choice", "count"), [("one", 1), ("simple-7", 7), ("openai-80", 80)])
def test_the_shipped_templates_have_a_place_for_the_name(choice, count):
    templates = template_sentences(choice)
    assert len(templates) == len(set(templates)) == count
    assert all("{}" in template for template in templates)


def test_one_template_is_the_papers():
    assert template_sentences("one") == ("a photo of a {}.",)


def test_own_templates_are_taken():
    assert template_sentences("own", "a {}.\nno {}") == ("a {}.", "no {}")


def test_a_list_may_be_longer_than_the_images_are_many(tiny_starters, digit_images, tmp_path):
    run = LocalRun(device=torch.device("cpu"), seed=0, folder=tmp_path)
    problem = Problem(images=digit_images.subset(range(4)), class_names=tuple(f"thing {number}" for number in range(7)))
    assert adapt(ZeroShotSettings(templates="one"), problem, run).predict(problem.images).probabilities.shape == (4, 7)


@pytest.mark.parametrize("method", [one for one in METHODS if one != "zeroshot"])
def test_a_method_that_learns_refuses_more_classes_than_images(method, digit_images, tmp_path):
    run = LocalRun(device=torch.device("cpu"), seed=0, folder=tmp_path)
    problem = Problem(images=digit_images.subset(range(4)), class_names=tuple(f"thing {number}" for number in range(7)))
    with pytest.raises(DataError, match="7 classes for 4 images; shorten the list"):
        resolve(METHODS[method].function)(parse(method, {}), problem, run)


def test_the_classifier_is_the_scaled_cosine(tiny_starters, digit_images, tmp_path):
    run = LocalRun(device=torch.device("cpu"), seed=0, folder=tmp_path)
    problem = Problem(images=digit_images, class_names=("zero", "one", "two"))
    member = adapt(ZeroShotSettings(templates="one"), problem, run).members[0]
    backbone = load_text_backbone("starter-clip")
    assert member.scale == pytest.approx(backbone.logit_scale)
    embedding = torch.randn(4, backbone.width)
    classes = class_embeddings(backbone, problem.class_names, ["a photo of a {}."])
    cosine = functional.normalize(embedding, dim=1) @ classes
    torch.testing.assert_close(member.head(embedding), backbone.logit_scale * cosine)


def test_it_asks_for_names(tiny_starters, digit_images, tmp_path):
    run = LocalRun(device=torch.device("cpu"), seed=0, folder=tmp_path)
    with pytest.raises(DataError, match="zero-shot reads class names"):
        adapt(ZeroShotSettings(), Problem(images=digit_images, num_classes=3), run)


def test_it_refuses_a_backbone_that_cannot_read(tiny_starters):
    with pytest.raises(ConfigError, match="starter-mae cannot read class names"):
        load_text_backbone("starter-mae")
