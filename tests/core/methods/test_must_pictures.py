"""The pictures of MUST: whose images they show, and what masked modelling fills in."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from core.backbones.masked import MaskedClassifier
from core.data.images import ImageSet
from core.data.views import normalise
from core.methods import must, must_pictures
from core.methods.zeroshot import load_text_backbone
from core.problem import Problem
from tests.core.tiny_must import NAMES, QUICK, joint, local_run

pytestmark = pytest.mark.usefixtures("tiny_starters")


def test_the_pictures_of_a_run_show_its_own_images_alone(shapes: ImageSet, tmp_path: Path,
                                                         monkeypatch: pytest.MonkeyPatch):
    shown: list[torch.Tensor] = []
    monkeypatch.setattr(must_pictures.Sample, "draw", lambda sample, *_, **__: shown.append(sample.images))
    quick = dataclasses.replace(QUICK, epochs=1)
    for also in (joint(shapes).also, ()):
        must.adapt(quick, dataclasses.replace(joint(shapes), also=also), local_run(tmp_path / str(len(also))))
    assert torch.equal(*shown)


def test_what_is_filled_in_stands_where_it_was_hidden_and_nothing_else_changes(tmp_path: Path):
    backbone = load_text_backbone("starter-clip")
    student = MaskedClassifier(backbone.visual, torch.rand(backbone.width, 3), 1.0, torch.Generator().manual_seed(0))
    colour = torch.tensor([0.8, 0.4, 0.1])
    as_seen = normalise(colour.view(1, 3, 1, 1), backbone.mean, backbone.std).flatten()
    with torch.no_grad():  # a decoder that always says this colour
        student.decoder.weight.zero_()
        student.decoder.bias.copy_(as_seen.repeat_interleave(student.patch_px**2))
    images = torch.rand(2, 3, backbone.image_size_px, backbone.image_size_px)
    hidden = torch.zeros(2, student.rows**2, dtype=torch.bool)
    hidden[0, 0] = hidden[1, student.rows + 1] = True  # the first patch, and the second of the second row
    masked, found = must_pictures.recover(student, backbone, images, hidden)
    side = student.patch_px
    for image, corner in ((0, 0), (1, side)):
        patch = (image, slice(None), slice(corner, corner + side), slice(corner, corner + side))
        torch.testing.assert_close(found[patch], colour.view(3, 1, 1).expand(3, side, side))
        assert (masked[patch] == 0.5).all()
        found[patch] = masked[patch] = images[patch]
    torch.testing.assert_close(found, images)
    assert torch.equal(masked, images)


def test_without_masked_modelling_nothing_is_said_to_be_recovered(shapes: ImageSet, tmp_path: Path):
    run = local_run(tmp_path)
    must.adapt(dataclasses.replace(QUICK, epochs=1, masked_modelling=False), Problem(images=shapes, class_names=NAMES),
               run)
    (attention,) = run.pictures.drawn
    assert (attention.name, len(attention.rows)) == ("attention", must_pictures.SHOWN)
    assert all(set(row.split(" → ")) <= set(NAMES) for row in attention.rows)
