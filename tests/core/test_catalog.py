"""The catalogue: what may be chosen, and what is refused by name."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

from core import catalog
from core.catalog import BACKBONES, METHODS, parse
from core.errors import ConfigError
from core.settings import Value, defaults, describe


@pytest.mark.parametrize("method", METHODS)
def test_every_method_can_be_chosen_without_a_setting(method):
    assert parse(method, {}) == METHODS[method].settings()


@pytest.mark.parametrize("method", METHODS)
def test_every_setting_has_a_label_and_a_default_that_it_allows(method):
    kind = METHODS[method].settings
    assert all(one.label for one in describe(kind).values())
    assert parse(method, defaults(kind)) == kind()


def test_text_from_a_form_becomes_typed_values():
    settings = parse("turtle", {"steps": "250", "outer_learning_rate": "1e-2", "warm_start": "on"})
    assert (settings.steps, settings.outer_learning_rate, settings.warm_start) == (250, 0.01, True)


@pytest.mark.parametrize(("method", "name", "value", "words"), [
    ("turtle", "steps", 0, "out of range: 1 to"),
    ("turtle", "steps", "many", "not a whole number"),
    ("turtle", "steps", 1.5, "not a whole number"),
    ("turtle", "steps", True, "not a number"),
    ("turtle", "entropy_weight", "nan", "out of range"),
    ("turtle", "entropy_weight", "inf", "out of range"),
    ("turtle", "warm_start", "perhaps", "neither yes nor no"),
    ("turtle", "pace", 3, "no such setting; it has spaces, steps"),
    ("zeroshot", "templates", "two", "choose one of one, simple-7"),
    ("zeroshot", "backbone", "starter-mae", "choose one of starter-clip"),
    ("must", "backbone", "clip-rn50", "choose one of starter-clip, clip-vit-b32"),
])
def test_it_refuses_a_bad_value_by_the_settings_name(method, name, value, words):
    with pytest.raises(ConfigError, match=words) as caught:
        parse(method, {name: value})
    assert caught.value.setting == name
    assert str(caught.value).startswith(f"{name}: ")


@pytest.mark.parametrize("name", ["", "  ", "\t"])
def test_a_setting_without_a_name_is_told_of_all_the_same(name):
    with pytest.raises(ConfigError, match="TURTLE has no such setting") as caught:
        parse("turtle", {name: 1})
    assert caught.value.setting == f"setting {name!r}"


def test_it_refuses_an_unknown_method_and_lists_the_known():
    with pytest.raises(ConfigError, match="unknown method 'magic'; choose one of zeroshot, kmeans, turtle, must"):
        parse("magic", {})


@pytest.mark.parametrize("method", ["kmeans", "turtle"])
@pytest.mark.parametrize(("value", "words"), [
    ("", "one to 3 different"),
    (" , ", "one to 3 different"),
    ("starter-clip,starter-clip", "one to 3 different"),
    ("starter-clip,starter-mae,resnet50,clip-rn50", "one to 3 different"),
    ("starter-clip, clip-vit-b17", "unknown feature spaces 'clip-vit-b17'; choose one to 3 of starter-clip"),
])
def test_it_refuses_spaces_that_are_not_one_to_three_known_backbones(method, value, words):
    with pytest.raises(ConfigError, match=words) as caught:
        parse(method, {"spaces": value})
    assert caught.value.setting == "spaces"


def test_spaces_are_written_one_way():
    assert parse("turtle", {"spaces": " starter-clip ,starter-mae,"}).spaces == "starter-clip,starter-mae"


@pytest.mark.parametrize("method", ["zeroshot", "must"])
@pytest.mark.parametrize(("own", "words"), [
    ("", "empty; give one template a line"),
    ("a photo of a {}.\nan old photo", "'an old photo' has no {} where the name goes"),
])
def test_it_refuses_own_templates_without_a_place_for_the_name(method, own, words):
    with pytest.raises(ConfigError, match=words) as caught:
        parse(method, {"templates": "own", "own_templates": own})
    assert caught.value.setting == "own_templates"


def test_own_templates_are_not_looked_at_when_others_are_chosen():
    assert parse("zeroshot", {"templates": "one", "own_templates": "no place"}).templates == "one"


def test_own_templates_are_lines_without_the_blank_ones():
    assert catalog.split_templates(" a {}. \n\nthe {}\r\n") == ("a {}.", "the {}")


def test_it_refuses_a_range_of_classes_that_ends_before_it_begins():
    with pytest.raises(ConfigError, match="classes_from: 9 is above the most classes to try, 3"):
        parse("turtle", {"classes_from": 9, "classes_to": 3})


@pytest.mark.parametrize(("values", "said"), [
    ({"oracle": True, "nearest": 0}, "oracle: nothing is looked up where nearest is 0"),
    ({"pretraining_detached": True, "pretraining_contrast_weight": 0.001}, "pretraining_detached: the contrast")])
def test_it_refuses_settings_of_maect_of_which_one_undoes_the_other(values: dict[str, Value], said: str):
    with pytest.raises(ConfigError, match=said):
        parse("maect", values)


def test_settings_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        METHODS["turtle"].settings().steps = 3


def test_the_papers_spaces_can_all_be_chosen():
    paper = {"clip-rn50", "clip-rn101", "clip-rn50x4", "clip-rn50x16", "clip-rn50x64", "clip-vit-b32", "clip-vit-b16",
             "clip-vit-l14", "dinov2-vit-l14"}
    assert paper <= BACKBONES.keys()


def test_the_catalogue_loads_without_torch():
    code = "import sys, core.catalog; print(sys.modules.keys() & {'torch', 'timm', 'open_clip', 'numpy'} or [])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
