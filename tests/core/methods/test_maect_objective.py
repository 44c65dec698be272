"""The terms of MAE-CT's loss: in pieces, without a gradient to the encoder, with the oracle's neighbours."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch

from core.backbones import autoencoder
from core.backbones.autoencoder import MaskedAutoencoder
from core.backbones.contrastive_head import ContrastiveHead
from core.backbones.load import load_backbone
from core.data.views import normalise
from core.losses.neighbours import NeighbourQueue
from core.methods.maect_objective import Batch, Objective


def objective(draw: torch.Generator, **switches: object) -> Objective:
    backbone = load_backbone("starter-mae")
    torch.manual_seed(0)
    head = ContrastiveHead(backbone.width, projector_width=32, embedding=16, predictor_width=32)
    model = MaskedAutoencoder(backbone.visual, autoencoder.load_decoder("starter-mae", backbone.visual, 0))
    given: dict[str, object] = {
        "model": model.train(), "head": head.train(), "lookup_projector": head.projector,
        "queue": NeighbourQueue(24, 16, draw), "pooling": "patches", "temperature": 0.15, "contrast_weight": 1.0,
        "reconstruction_weight": 1.0, "visible_count": 16, "device": torch.device("cpu"), "precision": "float32",
        "normalise": partial(normalise, mean=backbone.mean, std=backbone.std)}
    return Objective(**{**given, **switches})


def batch(draw: torch.Generator, size: int = 8) -> Batch:
    views = tuple(torch.rand(size, 3, 64, 64, generator=draw) for _ in range(2))
    orders = tuple(torch.rand(size, 64, generator=draw).argsort(1) for _ in range(2))
    return Batch(torch.arange(size), views, orders, torch.zeros(2, size, dtype=torch.long))


def gradient(one: Objective, seen: Batch) -> tuple[dict[str, float], torch.Tensor]:
    terms = one(seen)
    terms["loss"].backward()
    weight = one.model.encoder.blocks[0].attn.qkv.weight
    return {name: float(value.detach()) for name, value in terms.items()}, weight.grad.clone()


def test_a_step_in_pieces_is_the_whole_step(starters: Path):
    whole, pieces = (gradient(objective(torch.Generator().manual_seed(1), chunk_size=size),
                              batch(torch.Generator().manual_seed(2))) for size in (100, 3))
    assert pieces[0] == pytest.approx(whole[0], rel=1e-5)
    assert torch.allclose(pieces[1], whole[1], rtol=1e-3, atol=1e-6)


def test_detached_contrast_leaves_the_encoder_alone(starters: Path):
    seen = batch(torch.Generator().manual_seed(2))
    alone = gradient(objective(torch.Generator().manual_seed(1), contrast_weight=0.0), seen)[1]
    detached = gradient(objective(torch.Generator().manual_seed(1), detached=True), seen)[1]
    attached = gradient(objective(torch.Generator().manual_seed(1)), seen)[1]
    assert torch.allclose(detached, alone, atol=1e-7)
    assert not torch.allclose(attached, alone, atol=1e-7)


def test_the_oracle_finds_neighbours_of_the_persons_class(starters: Path):
    draw = torch.Generator().manual_seed(1)
    one = objective(draw, labels=torch.tensor([0, 0, 1, 1, -1, -1, -1, -1]))
    one.queue.push(torch.nn.functional.normalize(torch.randn(8, 16, generator=draw), dim=1), torch.arange(8))
    preferred = one._same_class(torch.arange(8))
    assert preferred is not None
    rows = {image: one.queue.owners[row].tolist() for image, row in enumerate(preferred)}
    assert rows == {0: [1], 1: [0], 2: [3], 3: [2], 4: [], 5: [], 6: [], 7: []}
