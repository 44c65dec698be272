"""Beginning with an adapted encoder: its weights come in, nothing else changes, and what does not fit is named."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from core.backbones.clip import ClipBackbone
from core.backbones.load import load_backbone
from core.backbones.start import Start
from core.backbones.vit import TimmBackbone
from core.catalog import parse
from core.classifier import Classifier, Member
from core.errors import CheckpointError, ConfigError
from core.methods.identity import identity
from core.problem import Problem

Made = Callable[[str], Start]


@pytest.fixture
def made(starters: Path, tmp_path: Path) -> Made:
    """Return a function that saves a backbone with every weight doubled, and reads it as a start."""
    def of(name: str) -> Start:
        backbone = load_backbone(name)
        with torch.no_grad():
            for value in backbone.visual.parameters():
                value.mul_(2)
        if isinstance(backbone, TimmBackbone):
            backbone.pooling = backbone.config["pooling"] = "class"
        head = Member(backbone=backbone, weight=torch.zeros(backbone.width, 2))
        Classifier(members=(head,), class_names=("a", "b"), method="kmeans").save(tmp_path / name)
        return Start.of(tmp_path / name, "earlier.zip")

    return of


@pytest.mark.parametrize("name", ["starter-mae", "starter-clip"])
def test_the_encoder_is_the_package_s(made: Made, name: str):
    published, begun = load_backbone(name), load_backbone(name, made(name))
    for key, value in dict(published.visual.named_parameters()).items():
        assert torch.equal(dict(begun.visual.named_parameters())[key], 2 * value)
    assert not begun.training


def test_the_encoder_is_read_as_it_was_adapted(made: Made):
    begun = load_backbone("starter-mae", made("starter-mae"))
    assert isinstance(begun, TimmBackbone)
    assert begun.pooling == begun.config["pooling"] == "class"


def test_class_names_are_read_as_before(made: Made):
    published, begun = load_backbone("starter-clip"), load_backbone("starter-clip", made("starter-clip"))
    assert isinstance(published, ClipBackbone) and isinstance(begun, ClipBackbone)
    assert torch.equal(begun.encode_text(["a cat"]), published.encode_text(["a cat"]))


def test_other_architectures_keep_their_published_weights(made: Made):
    published, begun = load_backbone("starter-clip"), load_backbone("starter-clip", made("starter-mae"))
    assert torch.equal(begun.visual.conv1.weight, published.visual.conv1.weight)


def test_an_encoder_without_words_needs_no_published_weights(made: Made, starters: Path, tmp_path: Path, monkeypatch):
    start = made("starter-mae")
    (tmp_path / "starter-mae.json").write_bytes((starters / "starter-mae.json").read_bytes())
    (tmp_path / "starter-mae.safetensors").write_bytes(b"gone")
    monkeypatch.setenv("LABELFREE_WEIGHTS", str(tmp_path))
    assert load_backbone("starter-mae", start).width == 192


def test_settings_that_name_another_architecture_are_refused_naming_both(made: Made):
    start = made("starter-mae")
    start.check(("starter-clip", "starter-mae"))
    with pytest.raises(ConfigError, match="holds an adapted starter-mae, the settings ask for mae-vit-b16"):
        start.check(("mae-vit-b16",))


def test_an_architecture_that_has_changed_since_is_refused_naming_both(made: Made, starters: Path, tmp_path: Path,
                                                                      monkeypatch):
    start = made("starter-mae")
    config = json.loads((starters / "starter-mae.json").read_text())
    config["model_args"]["depth"] = 5
    (tmp_path / "starter-mae.json").write_text(json.dumps(config))
    monkeypatch.setenv("LABELFREE_WEIGHTS", str(tmp_path))
    with pytest.raises(ConfigError, match=r"'depth': 6.*'depth': 5"):
        load_backbone("starter-mae", start)


def test_damaged_weights_are_refused(made: Made):
    start = made("starter-mae")
    start.weights.write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match=r"earlier\.zip: its weights do not fit"):
        load_backbone("starter-mae", start)


def test_a_folder_that_is_no_package_is_refused(tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"earlier\.zip: no model package"):
        Start.of(tmp_path, "earlier.zip")


@pytest.mark.parametrize("method", ["semimae", "maect", "kmeans", "turtle"])
def test_the_beginning_is_part_of_a_run_s_identity(made: Made, digit_images, method: str):
    chosen, plain = parse(method, {}), Problem(images=digit_images, class_names=("a", "b"))
    begun = dataclasses.replace(plain, start=made("starter-mae"))
    moved = dataclasses.replace(begun, start=dataclasses.replace(begun.start, source="elsewhere.zip"))
    assert identity(chosen, plain, 0) != identity(chosen, begun, 0) == identity(chosen, moved, 0)
