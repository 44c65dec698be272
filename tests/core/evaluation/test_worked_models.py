"""Measures that look at images through a model, where the model is so simple that their figures can be worked out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from core.classifier import Classifier, Member
from core.data import corruptions
from core.data.images import open_images
from core.data.views import as_tensor
from core.evaluation import finetuning, robustness, shots
from core.evaluation.colours import BINS, colour_histogram, histogram_error, histograms
from core.evaluation.evidence import Evidence
from core.shell import LocalRun

SIDE_PX = 16


class MeanOfPatches(nn.Module):
    """A block after which the class token is the mean of the patches."""

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens (B, 1 + L, 3), the class token first, to the same."""
        return torch.cat([tokens[:, 1:].mean(dim=1, keepdim=True), tokens[:, 1:]], dim=1)


class Tower(nn.Module):
    """A transformer whose class token says nothing after the first block, and the mean colour after the second."""

    num_prefix_tokens = 1

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))
        self.blocks = nn.Sequential(nn.Identity(), MeanOfPatches())

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, 3, H, W) to their mean colours (B, 3)."""
        pixels = images.flatten(2).transpose(1, 2)
        return self.gain * self.blocks(torch.cat([torch.zeros_like(pixels[:, :1]), pixels], dim=1))[:, 0]


class ColourSense(nn.Module):
    """A backbone that sees the mean colour alone."""

    name, width, image_size_px, mean, std = "colour-sense", 3, SIDE_PX, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)

    def __init__(self) -> None:
        super().__init__()
        self.visual = Tower()

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, 3, H, W) to features (B, 3)."""
        return self.visual(images)


def evidence(pictures: Sequence[np.ndarray], true_names: Sequence[str], folder: Path, **known: object) -> Evidence:
    """Return what measures look at: pictures (H, W, 3), of these classes, before a backbone that sees mean colours."""
    (folder / "images").mkdir()
    for number, pixels in enumerate(pictures):
        Image.fromarray(pixels.astype(np.uint8)).save(folder / "images" / f"{number:03d}.png")
    images, _ = open_images(folder / "images", folder / "unpacked")
    return Evidence(run=LocalRun(device=torch.device("cpu"), seed=0, folder=folder), paths=images.names,
                    true_names=tuple(true_names), images=images, backbones=(ColourSense(),), **known)


def flat(*colour: int) -> np.ndarray:
    """Return a picture of one colour."""
    return np.full((SIDE_PX, SIDE_PX, 3), colour)


def bright_above(threshold: float) -> Classifier:
    """Return a classifier that calls an image bright where its mean is above the threshold, else dark."""
    head = Member(backbone=ColourSense(), weight=torch.tensor([[0.0, 1 / 3]] * 3), bias=torch.tensor([0.0, -threshold]))
    return Classifier(members=(head,), class_names=("dark", "bright"), method="must")


def test_errors_under_corruptions_are_those_worked_out_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    darkness = {"darkness": lambda image, level, generator: image - (level + 1) / 10}  # as "brightness", downwards
    monkeypatch.setattr(corruptions, "CORRUPTIONS", {**corruptions.CORRUPTIONS, **darkness})
    monkeypatch.setattr(robustness, "CORRUPTIONS", ("brightness", "darkness", "contrast"))
    monkeypatch.setattr("core.evaluation.evidence.zero_shot_twin", lambda _: bright_above(0.5))
    greys = [flat(*[round(255 * grey)] * 3) for grey in (0.25, 0.62, 0.95, 0.08)]
    found = robustness.corruptions(evidence(greys, ("Dark", "bright ", "bright", "dark"), tmp_path,
                                            classifier=bright_above(0.7), adapted=True))
    wrong = {"brightness": ([0, 0, 0, 0, 1], [0, 0, 1, 1, 2]), "darkness": ([1, 1, 2, 2, 2], [0, 1, 1, 1, 2]),
             "contrast": ([1, 1, 1, 1, 1], [0, 0, 0, 0, 0])}  # of four, by severity: adapted, zero-shot
    assert found.table[0] == ["corruption", "severity", "error", "error of zero-shot"]
    assert list(found.table[1:]) == [(name, severity, ours[severity - 1] / 4, theirs[severity - 1] / 4)
                                     for name, (ours, theirs) in wrong.items() for severity in (1, 2, 3, 4, 5)]
    assert found.figures == pytest.approx({
        "mean_corruption_error": (100 * 1 / 4 + 100 * 8 / 5) / 2, "clean_error": 1 / 4, "clean_error_of_zero_shot": 0.0,
        "corrupted_error": (1 + 8 + 5) / (4 * 15)})
    assert found.notes == ("contrast: left out of the mean, for the zero-shot model makes no error",)


def test_finetuned_are_images_that_were_shown_and_measured_those_that_were_not(tmp_path: Path) -> None:
    truth = np.tile([0, 1], 12)
    draws = {count: [shots.draw(truth, count, seed) for seed in range(3)] for count in (1, 2, 4, 8)}
    odd = next(one for one in range(0, 24, 2) if not any(shown[one] for shown in draws[1]))
    pictures = [flat(30, one, 220) if label or one == odd else flat(220, one, 30) for one, label in enumerate(truth)]
    found = finetuning.few_shot(evidence(pictures, ["ab"[one] for one in truth], tmp_path))
    # One image of the first class looks like the second, so it is answered wrongly wherever it is asked about.
    expected: dict[str, float] = {}
    for count, three in draws.items():
        right = [1 - (not shown[odd]) / (24 - 2 * count) for shown in three]
        expected |= {f"{count}_shot": np.mean(right), f"{count}_shot_spread": np.std(right, ddof=1)}
    assert found.figures == pytest.approx(expected)
    assert expected["1_shot"] == pytest.approx(21 / 22)
    assert found.notes == ()
    assert found.images == 22


def test_labels_that_were_not_shown_teach_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finetuning, "SHOTS", (1,))
    truth = np.tile([0, 1], 12)
    draws = [shots.draw(truth, 1, seed) for seed in range(3)]
    ever = np.any(draws, axis=0)
    # Images that no draw shows have the other class's colour: what the shown ones teach is wrong of them.
    pictures = [flat(30, one, 220) if label == shown else flat(220, one, 30)
                for one, (label, shown) in enumerate(zip(truth, ever))]
    found = finetuning.few_shot(evidence(pictures, ["ab"[one] for one in truth], tmp_path))
    assert found.figures["1_shot"] == pytest.approx((ever.sum() - 2) / 22)
    assert found.figures["1_shot_spread"] == pytest.approx(0.0)


def test_finetuned_models_are_asked_about_a_sample_and_it_is_said_how_large(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finetuning, "EPOCHS", 1)
    pictures = [flat(30, one, 220) if one % 2 else flat(220, one, 30) for one in range(12)]
    found = finetuning.few_shot(evidence(pictures, "ab" * 6, tmp_path, sample=5))
    assert set(found.figures) >= {"1_shot", "4_shot"}
    assert found.images == 5


def test_every_level_of_a_channel_falls_into_the_bin_that_numpy_says() -> None:
    pixels = np.random.default_rng(0).permutation(256 * 3).reshape(16, 16, 3) % 256
    pixels[:4, :, 1] = 255
    found = histograms(as_tensor(pixels.astype(np.uint8))[None]).view(3, BINS)
    for channel in range(3):
        counts, _ = np.histogram(pixels[:, :, channel], BINS, (0, 256))
        assert found[channel].tolist() == pytest.approx((counts / 256).tolist())


def test_only_what_tells_the_colours_lowers_the_error_and_what_tells_nothing_leaves_the_medians() -> None:
    generator = torch.Generator().manual_seed(0)
    causes = torch.randint(2, (400, 3), generator=generator).float() + torch.rand(400, 3, generator=generator)
    targets = torch.cat([causes @ torch.rand(3, 32, generator=generator) / 50, torch.full((400, 160), 1 / BINS)], dim=1)
    mixed = causes @ torch.randn(3, 3, generator=generator) + 7
    unrelated, nothing = torch.randn(400, 3, generator=generator), torch.ones(400, 3)
    held_out = torch.arange(400) % 5 == 0
    told, untold, constant = histogram_error(torch.stack([mixed, unrelated, nothing]), targets, held_out,
                                             generator).tolist()
    medians, asked = targets[~held_out].median(dim=0).values, targets[held_out]
    expected = float((asked - medians).abs().sum() / (asked - 1 / BINS).abs().sum())
    assert constant == pytest.approx(expected, rel=0.03)
    assert untold == pytest.approx(expected, rel=0.1)
    assert told < 0.1 * expected


def test_mean_colours_give_away_the_histograms_of_images_in_black_and_white(tmp_path: Path) -> None:
    shares = np.random.default_rng(0).integers(0, 257, (150, 3))  # of 256 pixels, white ones in each channel
    pictures = [255 * (np.arange(256)[:, None] < share).reshape(SIDE_PX, SIDE_PX, 3) for share in shares]
    found = colour_histogram(evidence(pictures, (), tmp_path))
    # Uniform shares u: two bins a channel are |u - 1/2| from their median, and |u - 1/64| and 62/64 from uniform.
    expected = 0.5 / (2 * (0.5 - 1 / 64) + 62 / 64)
    (_, nothing), (_, colour) = found.table[1:]
    assert nothing == pytest.approx(expected, rel=0.15)
    assert colour < 0.05
    assert found.figures == pytest.approx({"last_block": colour, "mean_of_blocks": (nothing + colour) / 2})
    assert found.images == 150
