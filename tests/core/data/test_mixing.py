"""CutMix and MixUp over a batch: who is mixed with whom, and how much."""

from __future__ import annotations

import pytest
import torch

from core.data.mixing import Mix, draw_mix


def drawn(kind: str, seed: int, count: int = 6, side_px: int = 16, alpha: float = 1.0) -> Mix:
    return draw_mix(kind, count, side_px, alpha, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", ["cutmix", "mixup", "both"])
@pytest.mark.parametrize("count", [2, 7])
def test_each_image_is_mixed_with_another_one_and_each_is_somebodys_partner(kind: str, count: int):
    for seed in range(50):
        partners = drawn(kind, seed, count).partners
        assert sorted(partners.tolist()) == list(range(count))
        assert not (partners == torch.arange(count)).any()


def test_cutmix_takes_one_rectangle_of_the_partner_and_its_true_area():
    images = torch.arange(6.0)[:, None, None, None].expand(6, 3, 16, 16)
    for seed in range(50):
        mix = drawn("cutmix", seed)
        mixed = mix.of(images)
        assert set(mix.mask.unique().tolist()) <= {0.0, 1.0}
        for image, partner in enumerate(mix.partners.tolist()):
            theirs = mixed[image, 0] == partner
            assert torch.equal(~theirs, mixed[image, 0] == image)
            rows, columns = theirs.any(1), theirs.any(0)
            assert theirs.sum() == rows.sum() * columns.sum(), "not a rectangle"
            assert mix.share == pytest.approx(1 - theirs.float().mean().item())


def test_mixup_weights_every_pixel_alike():
    images = torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    mix = drawn("mixup", 3)
    expected = mix.share * images + (1 - mix.share) * images[mix.partners]
    torch.testing.assert_close(mix.of(images), expected)


def test_shares_are_uniform_with_alpha_1_and_near_a_half_with_a_large_one():
    uniform = torch.tensor([drawn("mixup", seed).share for seed in range(500)])
    assert uniform.mean() == pytest.approx(0.5, abs=0.05)
    assert uniform.std() == pytest.approx(12**-0.5, abs=0.03)
    even = torch.tensor([drawn("mixup", seed, alpha=100.0).share for seed in range(100)])
    assert even.std() < 0.06


def test_both_takes_each_about_half_of_the_time():
    rectangles = sum(len(drawn("both", seed).mask.unique()) == 2 for seed in range(200))
    assert 60 < rectangles < 140


def test_the_same_generator_draws_the_same_mix():
    first, second, third = drawn("cutmix", 1), drawn("cutmix", 1), drawn("cutmix", 2)
    assert torch.equal(first.mask, second.mask)
    assert torch.equal(first.partners, second.partners)
    assert first.share == second.share != third.share
