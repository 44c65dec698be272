from __future__ import annotations

import core.torchvision_schemas  # noqa: F401

import open_clip
import pytest
import torch
from open_clip.transformer import QuickGELU
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from benchmarks.random_weights import write_catalogued
from core.backbones.clip import ClipBackbone
from core.backbones.load import load_backbone
from core.catalog import BACKBONES
from core.errors import ConfigError
from tests.core import random_weights

SENTENCES = ["a photo of a polar bear.", "seven", "žluťoučký kůň", " ".join(["long"] * 300)]


@pytest.fixture
def clip(starters) -> ClipBackbone:
    found = load_backbone("starter-clip")
    assert isinstance(found, ClipBackbone)
    return found


def test_a_starter_says_what_it_is(clip):
    assert (clip.name, clip.library, clip.width, clip.image_size_px) == ("starter-clip", "open_clip", 256, 64)
    assert clip.mean == tuple(random_weights.MEAN)
    assert clip.std == tuple(random_weights.STD)
    assert clip.logit_scale == pytest.approx(1 / 0.07, rel=1e-3)
    assert not clip.training
    assert {value.dtype for value in clip.parameters()} == {torch.float32}


def test_it_answers_as_open_clips_own_model_with_the_same_weights(clip, starters):
    theirs = open_clip.CLIP(**random_weights.STARTER_CLIP["model_cfg"])
    theirs.load_state_dict(load_file(starters / "starter-clip.safetensors"))
    theirs.eval()
    images = torch.randn(3, 3, 64, 64)
    tokens = open_clip.SimpleTokenizer(context_length=32)(SENTENCES)
    with torch.no_grad():
        assert torch.equal(clip(images), theirs.encode_image(images))
        assert torch.allclose(clip.encode_text(SENTENCES), theirs.encode_text(tokens), atol=1e-6)


def test_its_activation_is_openais_quick_gelu(clip):
    """Built by hand: x * sigmoid(1.702 x) between the two linear layers of a block."""
    block = clip.visual.transformer.resblocks[0]
    tokens = torch.randn(2, 5, 192)
    normed = block.ln_1(tokens)
    after = tokens + block.attn(normed, normed, normed, need_weights=False)[0]
    hidden = block.mlp.c_fc(block.ln_2(after))
    quick = after + block.mlp.c_proj(hidden * torch.sigmoid(1.702 * hidden))
    exact = after + block.mlp.c_proj(functional.gelu(hidden))
    found = block(tokens)
    assert torch.allclose(found, quick, atol=1e-5)
    assert (found - exact).abs().max() > 10 * (found - quick).abs().max()
    text = clip.text.transformer.resblocks[0].mlp
    assert isinstance(text.gelu, QuickGELU)


@pytest.mark.parametrize("name", [name for name, row in BACKBONES.items() if row.pretrained == "openai"])
def test_every_model_with_openais_weights_is_configured_with_quick_gelu(name):
    row = BACKBONES[name]
    config = open_clip.get_model_config(row.architecture)
    assert config["quick_gelu"]
    assert open_clip.get_pretrained_cfg(row.architecture, "openai")["quick_gelu"]
    assert config["vision_cfg"]["image_size"] == row.image_size_px


def test_sentences_are_read_alone_as_in_company(clip):
    together = clip.encode_text(SENTENCES * 70)  # more than are read at once
    assert together.shape == (280, 256)
    for row, sentence in zip(together, SENTENCES):
        assert torch.allclose(row, clip.encode_text([sentence])[0], atol=1e-5)
    assert not together.requires_grad


def test_an_over_long_name_is_cut_and_still_ends(clip):
    assert torch.allclose(clip.encode_text([" ".join(["long"] * 300)]), clip.encode_text([" ".join(["long"] * 40)]),
                          atol=1e-6)


def test_a_tower_without_text_says_how_to_read_names(clip):
    clip.text = None
    with pytest.raises(ConfigError, match="saved without its text tower; load it by its name"):
        clip.encode_text(["cat"])


def test_the_image_tower_can_be_adapted(clip):
    clip(torch.randn(2, 3, 64, 64)).sum().backward()
    assert all(value.grad is not None for name, value in clip.visual.named_parameters())


@pytest.mark.parametrize("name", ["clip-vit-b32", "clip-rn50"])
def test_real_clips_load_through_the_same_path(name, tmp_path, monkeypatch):
    """Random weights in the published format: what open_clip's own model answers, we answer."""
    theirs = write_catalogued(tmp_path, name)
    monkeypatch.setenv("LABELFREE_WEIGHTS", str(tmp_path))
    ours = load_backbone(name)
    (tmp_path / f"{name}.safetensors").unlink()
    assert isinstance(ours, ClipBackbone)
    assert ours.image_size_px == BACKBONES[name].image_size_px
    assert ours.mean == open_clip.OPENAI_DATASET_MEAN
    activations = [one for one in ours.modules() if isinstance(one, QuickGELU)]
    assert activations
    assert not [one for one in ours.modules() if isinstance(one, nn.GELU)]
    images = torch.randn(1, 3, ours.image_size_px, ours.image_size_px)
    with torch.no_grad():
        found = ours(images)
        assert found.shape == (1, ours.width)
        assert torch.allclose(found, theirs.encode_image(images), atol=1e-5)
        tokens = open_clip.get_tokenizer(BACKBONES[name].architecture)(SENTENCES)
        assert torch.allclose(ours.encode_text(SENTENCES), theirs.encode_text(tokens), atol=1e-5)
