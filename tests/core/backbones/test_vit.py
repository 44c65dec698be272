from __future__ import annotations

import core.torchvision_schemas  # noqa: F401

import pytest
import timm
import torch
from safetensors.torch import load_file
from timm.layers import resample_abs_pos_embed

from benchmarks.random_weights import write_catalogued
from core.backbones.load import load_backbone
from core.backbones.vit import TimmBackbone
from core.catalog import BACKBONES
from tests.core import random_weights


def test_a_starter_says_what_it_is(starters):
    mae = load_backbone("starter-mae")
    assert isinstance(mae, TimmBackbone)
    assert (mae.name, mae.library, mae.width, mae.image_size_px) == ("starter-mae", "timm", 192, 64)
    assert mae.mean == tuple(random_weights.MEAN)
    assert not mae.training
    assert {value.dtype for value in mae.parameters()} == {torch.float32}
    assert "state_dict" not in mae.visual.pretrained_cfg


def test_a_starter_gives_the_mean_of_its_patches_and_leaves_the_decoder_out(starters):
    mae = load_backbone("starter-mae")
    tensors = load_file(starters / "starter-mae.safetensors")
    assert any(key.startswith("decoder.") for key in tensors)
    theirs = timm.models.vision_transformer.VisionTransformer(**random_weights.STARTER_MAE["model_args"])
    theirs.load_state_dict({key: value for key, value in tensors.items() if not key.startswith("decoder.")})
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(mae(images), theirs.eval().forward_features(images)[:, 1:].mean(1), atol=1e-6)


@pytest.fixture
def published(tmp_path, monkeypatch):
    """Write a model at random in the published format and return it with what we load from that file."""
    def write(name: str) -> tuple[torch.nn.Module, TimmBackbone]:
        theirs = write_catalogued(tmp_path, name)
        monkeypatch.setenv("LABELFREE_WEIGHTS", str(tmp_path))
        ours = load_backbone(name)
        (tmp_path / f"{name}.safetensors").unlink()
        assert isinstance(ours, TimmBackbone)
        return theirs, ours

    return write


@pytest.mark.parametrize("name", [name for name, row in BACKBONES.items()
                                  if row.library == "timm" and row.pretrained != "bundled"])
def test_timm_publishes_the_weights_of_every_row(name):
    assert timm.get_pretrained_cfg(BACKBONES[name].architecture).hf_hub_id.startswith("timm/")


def test_a_real_mae_loads_and_gives_the_mean_of_its_patches(published):
    theirs, ours = published("mae-vit-b16")
    images = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        found = ours(images)
        assert found.shape == (1, 768)
        assert torch.allclose(found, theirs.forward_features(images)[:, 1:].mean(1), atol=1e-5)


def test_a_real_dinov2_loads_at_224_px_and_gives_its_class_token(published):
    theirs, ours = published("dinov2-vit-s14")
    assert (ours.image_size_px, ours.pooling) == (224, "library")
    assert theirs.pos_embed.shape == (1, 37 * 37 + 1, 384)
    resized = resample_abs_pos_embed(theirs.pos_embed, new_size=[16, 16], num_prefix_tokens=1)
    assert torch.allclose(ours.visual.pos_embed, resized)
    theirs.set_input_size((224, 224))
    images = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        assert torch.allclose(ours(images), theirs.forward_features(images)[:, 0], atol=1e-4)


def test_a_supervised_resnet_loads_and_gives_its_pooled_features(published):
    theirs, ours = published("resnet50")
    images = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        found = ours(images)
        assert found.shape == (1, ours.width) == (1, 2048)
        assert torch.allclose(found, theirs.forward_features(images).mean((2, 3)), atol=1e-5)
