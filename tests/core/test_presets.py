"""Presets: every value a setting of its method, the paper's columns by name, one recommended for every collection."""

from __future__ import annotations

import subprocess
import sys

import pytest

from core.catalog import BACKBONES, METHODS, VIT_TEXT_BACKBONES, parse
from core.presets.preset import SMALL_COLLECTION_VIEWS
from core.presets.table import PRESETS, recommend

EVERY = [(method, name) for method in PRESETS for name in PRESETS[method]]


@pytest.mark.parametrize(("method", "name"), EVERY)
def test_every_preset_is_accepted_by_its_method(method: str, name: str):
    settings = parse(method, PRESETS[method][name])
    for setting, value in PRESETS[method][name].items():
        assert getattr(settings, setting) == value


@pytest.mark.parametrize(("method", "name"), EVERY)
def test_every_preset_says_where_it_comes_from_what_it_costs_and_what_to_expect(method: str, name: str):
    preset = PRESETS[method][name]
    assert preset.source
    assert preset.cost
    assert preset.expected
    assert f"--method {method} --preset {name}" in preset.command(method, name)


def test_the_paper_s_fourteen_columns_are_there_by_name():
    columns = [f"{data}-{size}" for data in ("imagenet", "sun397", "food101", "gtsrb", "dtd", "ucf101")
               for size in "bl"] + ["pets-b", "caltech101-b"]
    assert [name for name in PRESETS["must"] if name != "small-collection"] == columns


@pytest.mark.parametrize(("name", "expected"), {
    "imagenet-b": {"base_learning_rate": 2e-5, "epochs": 30, "threshold": 0.7, "mask_ratio": 0.3, "mask_patch_px": 32,
                   "align_weight": 0.2, "fairness_weight": 1, "average_start": 0.999, "average_ramp_steps": 2000,
                   "batch_size": 1024, "backbone": "clip-vit-b16"},
    "sun397-l": {"base_learning_rate": 2e-4, "epochs": 20, "threshold": 0.3, "mask_ratio": 0.1, "mask_patch_px": 28,
                 "align_weight": 0.5, "fairness_weight": 0.2, "average_start": 0.99, "average_ramp_steps": 500,
                 "batch_size": 512, "backbone": "clip-vit-l14"},
    "gtsrb-l": {"threshold": 0.2, "mask_ratio": 0.3, "mask_patch_px": 56, "align_weight": 0.5},
    "ucf101-l": {"base_learning_rate": 2e-5, "epochs": 60, "threshold": 0.6, "mask_patch_px": 14},
    "pets-b": {"base_learning_rate": 1e-5, "align_weight": 0.1, "average_ramp_steps": 100},
}.items())
def test_a_column_has_the_paper_s_values(name: str, expected: dict[str, object]):
    preset = PRESETS["must"][name]
    assert {setting: preset[setting] for setting in expected} == expected
    assert (preset["average_end"], preset["weight_decay"], preset["layer_decay"]) == (0.9998, 0.05, 0.65)
    assert preset["labels_from"] == "student"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("num_images", [2, 100, 1797, 2999, 3000, 50_000, 2_000_000])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_what_is_recommended_is_a_preset_and_acceptable(method: str, num_images: int, backbone: str):
    name, values = recommend(method, num_images, backbone)
    assert name in PRESETS[method] or (name == "" and not values)
    if method != "must" or backbone in VIT_TEXT_BACKBONES:
        settings = parse(method, {**PRESETS[method].get(name, {}), **values})
        assert method != "must" or settings.backbone == backbone


@pytest.mark.parametrize(("num_images", "backbone", "expected"), [
    (1797, "starter-clip", "small-collection"), (90_000, "starter-clip", "small-collection"),
    (1797, "clip-vit-b16", "small-collection"), (3_680, "clip-vit-b16", "dtd-b"), (9_000, "clip-vit-l14", "ucf101-l"),
    (75_000, "clip-vit-b32", "food101-b"), (1_281_167, "clip-vit-l14", "imagenet-l")])
def test_the_size_and_the_backbone_choose(num_images: int, backbone: str, expected: str):
    assert recommend("must", num_images, backbone)[0] == expected


def test_a_small_collection_is_given_a_budget_of_views_and_a_large_one_at_least_an_epoch():
    for num_images in (500, 1797, 5000):
        _, values = recommend("must", num_images, "starter-clip")
        assert float(str(values["epochs"])) * num_images == pytest.approx(SMALL_COLLECTION_VIEWS, rel=0.01)
    assert recommend("must", 100_000, "starter-clip")[1]["epochs"] == 1.0


@pytest.mark.parametrize("backbone", VIT_TEXT_BACKBONES)
@pytest.mark.parametrize("num_images", [1000, 5000, 20_000, 100_000, 1_000_000])
def test_hidden_blocks_are_whole_patches_that_tile_the_image(backbone: str, num_images: int):
    patch_px = {"starter-clip": 8, "clip-vit-b32": 32, "clip-vit-b16": 16, "clip-vit-l14": 14}[backbone]
    side_px = int(str(recommend("must", num_images, backbone)[1]["mask_patch_px"]))
    assert side_px % patch_px == 0
    assert BACKBONES[backbone].image_size_px % side_px == 0


def test_presets_need_no_torch():
    program = "import sys, core.presets.table; assert not {'torch', 'timm', 'open_clip'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
