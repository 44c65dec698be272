"""Unsupervised finetuning by numbers worked out apart: Eq. 6 in its objective, and the rates by which it learns."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
import torch

from core.catalog import parse
from core.methods import finetune
from core.methods.finetune_objective import Batch
from core.problem import Problem
from core.training import loop
from tests.core.methods import test_finetune
from tests.core.methods.test_finetune import adapted, batch, objective

images, problem = test_finetune.images, test_finetune.problem
"""Fixtures of that module."""


@torch.no_grad()
def test_a_mixed_image_belongs_to_both_keys_by_their_shares_and_is_told_from_neither(starters: Path):
    one, seen = objective(), batch()
    one(seen)
    one.remember()
    assert seen.mix is not None
    mixed, keys = one._embed(one.encoder, seen.mix.of(seen.queries)), one._embed(one.key_encoder, seen.keys)
    expected = 0.0
    for image, partner in enumerate(seen.mix.partners.tolist()):
        others = one.queue.embeddings[(one.queue.owners != image) & (one.queue.owners != partner)]
        assert len(others) == 8
        for share, owner in ((seen.mix.share, image), (1 - seen.mix.share, partner)):
            logits = torch.cat([keys[owner:owner + 1], others]) @ mixed[image] / 0.2
            expected += share * float(logits.logsumexp(0) - logits[0]) / 6
    assert abs(seen.mix.share - 0.5) > 0.1
    assert float(one(seen)["mixed_contrast"]) == pytest.approx(expected, rel=1e-5)


def test_it_learns_by_the_rates_of_moco_v2(problem: Problem, tmp_path: Path,
                                         planned: list[loop.Stage[Batch]]):
    adapted(problem, tmp_path, optimiser="sgd", base_learning_rate=0.015, head_learning_rate=0.015, epochs=4.0,
            weight_decay=1e-4, temperature=0.07, mixing="mixup", mixing_alpha=100.0)
    (stage,) = planned
    peak = 0.015 * 12 / 256
    assert [stage.learning_rate(step) for step in (0, 4, 8)] == pytest.approx([peak, peak / 2, 0])
    given = {name: (group["momentum"], group["weight_decay"]) for group in stage.optimiser.param_groups
             for name in group["names"]}
    assert given["visual.blocks.0.attn.qkv.weight"] == given["0.weight"] == (0.9, 1e-4), "encoder and head"
    assert given["visual.norm.bias"] == given["0.bias"] == (0.9, 0.0)
    assert stage.objective.temperature == 0.07
    assert all(abs(one.mix.share - 0.5) < 0.2 for one in islice(stage.batches(0), 6))


def test_a_short_runs_key_encoder_remembers_a_share_of_it():
    short, paper = (parse("finetune", {"average_horizon_share": share, "momentum": 0.999}) for share in (0.1, 0.0))
    assert (finetune._momentum(short, 200), finetune._momentum(paper, 200)) == (pytest.approx(0.95), 0.999)
