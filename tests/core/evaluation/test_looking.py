"""Where a model looks, what leaves its answers alone and whether colours betray them, by cases worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from core.backbones.load import load_backbone
from core.classifier import Member
from core.evaluation import tokens
from core.evaluation.colours import histogram_error
from core.evaluation.invariance import invariance
from core.evaluation.tokens import gradcam
from tests.core.evaluation.test_worked_models import bright_above, evidence, flat


def test_heat_is_attention_times_what_speaks_for_the_class_mean_over_heads(starters: Path) -> None:
    backbone = load_backbone("starter-clip")
    weight = torch.randn(backbone.width, 3, generator=torch.Generator().manual_seed(1))
    member = Member(backbone=backbone, weight=weight)
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with tokens._attention(tokens.blocks_of(backbone)[-1].attn) as maps, torch.enable_grad():
        asked = member.logits(images)[[0, 1], [0, 2]]
        gradient, = torch.autograd.grad(asked.sum(), maps[0])
    seen = maps[0].detach()[:, :, 0, 1:]  # (B, heads, L), of the class token
    heat = torch.stack([seen[:, head] * gradient[:, head, 0, 1:].clamp(min=0) for head in range(seen.shape[1])]).mean(0)
    expected = heat / heat.amax(dim=1, keepdim=True)
    assert (gradient[:, :, 0, 1:] < 0).any(), "some patches speak against it"
    torch.testing.assert_close(gradcam(member, images, torch.tensor([0, 2])), expected.unflatten(1, (8, 8)))


def test_invariance_of_flat_greys_is_that_worked_out_by_hand(tmp_path: Path) -> None:
    found = invariance(evidence([flat(102, 102, 102)], (), tmp_path, classifier=bright_above(0.5))).figures
    dark = {grey: 1 / (1 + np.exp(grey - 0.5)) for grey in (0.4, 0.24)}  # 1.4 times as bright it is bright: 0
    same, brightness = dark[0.4], (0 + np.sqrt(dark[0.4] * dark[0.24])) / 2
    expected = dict.fromkeys(("rotation_90", "rotation_180", "rotation_270", "contrast", "saturation", "hue"), same)
    assert found == pytest.approx({**expected, "brightness": brightness, "rotations": same,
                                   "colours": (brightness + 3 * same) / 4}, abs=2e-3)


def test_the_colour_probe_is_asked_about_images_that_it_was_not_fitted_to() -> None:
    generator = torch.Generator().manual_seed(0)
    targets, unrelated = torch.rand(120, 8, generator=generator) / 32, torch.randn(1, 120, 400, generator=generator)
    held_out = torch.arange(120) < 40
    error, = histogram_error(unrelated, targets, held_out, generator).tolist()
    constant, = histogram_error(torch.ones(1, 120, 1), targets, held_out, generator).tolist()
    assert error > constant
