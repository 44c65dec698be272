"""Measures that look at images through a model: invariance, corruptions, colours, attention, recovery."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from core.backbones import autoencoder
from core.backbones.load import load_backbone
from core.classifier import Classifier, Member
from core.data.corruptions import CORRUPTIONS
from core.data.images import ImageSet, open_images
from core.data.views import normalise
from core.errors import ConfigError
from core.evaluation import finetuning, robustness, tokens
from core.evaluation.colours import BINS, histogram_error, histograms
from core.evaluation.evidence import Evidence
from core.evaluation.foundation import zero_shot, zero_shot_twin
from core.evaluation.invariance import CHANGES, effective_invariance, invariance
from core.evaluation.pictures import attention
from core.evaluation.recovery import recover, recovered
from core.evaluation.tokens import class_tokens, gradcam
from core.shell import LocalRun
from tests.core.tiny_clip import SHAPES, write_shapes, write_tiny_clip


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Evidence:
    """Twelve shapes before an untaught tiny CLIP, which answers by their names."""
    weights = tmp_path / "weights"
    weights.mkdir()
    monkeypatch.setenv("LABELFREE_WEIGHTS", str(write_tiny_clip(weights)))
    truth = write_shapes(tmp_path / "shapes", 12)
    images, _ = open_images(tmp_path / "shapes", tmp_path / "unpacked")
    backbone = load_backbone("starter-clip")
    run = LocalRun(device=torch.device("cpu"), seed=0, folder=tmp_path)
    return Evidence(run=run, paths=images.names, images=images,
                    true_names=tuple(SHAPES[label] for label in truth), backbones=(backbone,),
                    classifier=zero_shot(backbone, SHAPES, {"templates": "one"}), has_folder=True)


def with_head(evidence: Evidence, weight: torch.Tensor, bias: torch.Tensor) -> Classifier:
    """Return a classifier of the evidence's backbone with this head."""
    return Classifier(members=(Member(backbone=evidence.backbones[0], weight=weight, bias=bias),), class_names=SHAPES,
                      method="zeroshot")


def test_effective_invariance_of_worked_rows() -> None:
    plain = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6]])
    changed = torch.tensor([[0.4, 0.6], [0.8, 0.2], [0.4, 0.6]])
    assert effective_invariance(plain, changed).tolist() == pytest.approx([0.0, 0.72**0.5, 0.6])


def test_a_model_that_always_says_the_same_for_certain_is_invariant(tiny: Evidence) -> None:
    constant = with_head(tiny, torch.zeros(32, 6), torch.tensor([0.0, 50.0, 0.0, 0.0, 0.0, 0.0]))
    found = invariance(Evidence(run=tiny.run, paths=tiny.paths, images=tiny.images, classifier=constant)).figures
    assert set(found) == {*CHANGES, "rotations", "colours"}
    assert all(value == pytest.approx(1.0) for value in found.values())


def test_every_change_changes_a_coloured_image_and_turns_come_round() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8))
    for changes in CHANGES.values():
        assert all(change(image).tobytes() != image.tobytes() for change in changes)
    quarter, half = CHANGES["rotation_90"][0], CHANGES["rotation_180"][0]
    assert quarter(quarter(image)).tobytes() == half(image).tobytes()


def test_errors_are_relative_to_the_zero_shot_model() -> None:
    assert robustness.corruption_error([0.1, 0.3], [0.2, 0.6]) == pytest.approx(50.0)
    assert robustness.corruption_error([0.5, 0.5], [0.5, 0.5]) == pytest.approx(100.0)
    assert robustness.corruption_error([0.1], [0.0]) is None


def test_the_zero_shot_model_itself_stands_at_100_and_an_adapted_one_beside_it(
        tiny: Evidence, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(robustness, "CORRUPTIONS", ("contrast", "jpeg_compression"))
    found = robustness.corruptions(tiny)
    assert found.figures["mean_corruption_error"] == pytest.approx(100.0)
    assert len(found.table) == 1 + 2 * 5
    constant = with_head(tiny, torch.zeros(32, 6), torch.tensor([1.0, 0.0, 0.0, 0.0, 0.0, 0.0]))
    adapted = Evidence(run=tiny.run, paths=tiny.paths, images=tiny.images, true_names=tiny.true_names,
                       classifier=constant, backbones=tiny.backbones, adapted=True)
    compared = robustness.corruptions(adapted)
    assert compared.figures["corrupted_error"] == pytest.approx(5 / 6)  # one class of six is always right
    errors = [float(row[3]) for row in compared.table[1:]]
    relative = [100 * 5 * (5 / 6) / sum(errors[start:start + 5]) for start in (0, 5)]
    assert compared.figures["mean_corruption_error"] == pytest.approx(np.mean(relative), abs=0.02)


def test_a_model_that_adapting_did_not_change_stands_at_100_under_all_fifteen_corruptions(tiny: Evidence) -> None:
    unchanged = Classifier(members=tiny.answering.members, class_names=SHAPES, method="must",
                           settings={"templates": "one"})
    found = robustness.corruptions(Evidence(run=tiny.run, paths=tiny.paths, images=tiny.images, adapted=True,
                                            true_names=tiny.true_names, classifier=unchanged,
                                            backbones=tiny.backbones))
    assert [row[:2] for row in found.table[1:]] == [(name, one) for name in CORRUPTIONS for one in (1, 2, 3, 4, 5)]
    assert len(found.table) == 1 + 15 * 5
    assert all(row[2] == row[3] for row in found.table[1:])
    assert len({row[2] for row in found.table[1:]}) > 1
    assert found.figures["mean_corruption_error"] == pytest.approx(100.0)
    assert found.figures["clean_error"] == found.figures["clean_error_of_zero_shot"]


def test_clusters_have_no_zero_shot_twin(tiny: Evidence) -> None:
    unnamed = Classifier(members=(Member(backbone=tiny.backbones[0], weight=torch.zeros(32, 2)),), method="kmeans",
                         class_names=("cluster 1", "cluster 2"))
    assert zero_shot_twin(unnamed) is None
    lost = Evidence(run=tiny.run, paths=tiny.paths, images=tiny.images, true_names=tiny.true_names, adapted=True,
                    classifier=unnamed, backbones=tiny.backbones)
    with pytest.raises(ConfigError, match="relative to the zero-shot model, and there is none"):
        robustness.corruptions(lost)


def test_groups_that_were_given_names_have_no_zero_shot_twin_and_are_matched(tiny: Evidence) -> None:
    answering = tiny.answering
    for method, named in (("must", True), ("turtle", False), ("kmeans", False), ("of a later release", True)):
        adapted = Classifier(members=answering.members, class_names=SHAPES, method=method)
        found = Evidence(run=tiny.run, paths=tiny.paths, images=tiny.images, true_names=tiny.true_names, adapted=True,
                         classifier=adapted, backbones=tiny.backbones)
        assert (found.named, found.zero_shot is not None) == (named, named)


def test_finetuning_changes_a_copy_and_says_which_shots_cannot_be(
        tiny: Evidence, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finetuning, "EPOCHS", 3)
    before = {name: one.clone() for name, one in tiny.backbones[0].state_dict().items()}
    found = finetuning.few_shot(tiny)  # two images of each of six classes
    assert set(found.figures) == {"1_shot", "1_shot_spread"}
    assert 0 <= found.figures["1_shot"] <= 1
    assert [note.split(":")[0] for note in found.notes] == ["2-shot", "4-shot", "8-shot"]
    shown = np.arange(6)
    tuned, again = (finetuning.finetune(tiny.backbones[0], tiny, shown, trial=0) for _ in range(2))
    assert torch.equal(tuned.weight, again.weight)
    assert tuned.weight.abs().max() > 0.1
    assert not torch.equal(tuned.backbone.visual.conv1.weight, tiny.backbones[0].visual.conv1.weight)
    assert all(torch.equal(one, before[name]) for name, one in tiny.backbones[0].state_dict().items())


def test_colour_histograms_sum_to_one_and_know_their_bins() -> None:
    images = torch.zeros(1, 3, 4, 4)
    images[0, 1, :2] = 1.0
    (found,) = histograms(images).view(1, 3, BINS)
    assert found.sum(1).tolist() == [1.0, 1.0, 1.0]
    assert found[0, 0] == 1.0
    assert found[1, 0] == found[1, BINS - 1] == 0.5


def test_tokens_that_are_the_histogram_give_it_away_and_constant_ones_do_not() -> None:
    generator = torch.Generator().manual_seed(0)
    targets = histograms(torch.rand(120, 1, 1, 1, generator=generator).expand(-1, 3, 8, 8).contiguous())
    targets = (targets + 1 / BINS) / 2
    held_out = torch.arange(120) < 40
    tokens = torch.stack([targets, torch.ones(120, 192)])
    told, untold = histogram_error(tokens, targets, held_out, generator).tolist()
    assert told < 0.8 * untold


def test_the_class_token_after_the_last_block_is_what_the_model_answers_from(tiny: Evidence, starters: Path) -> None:
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    mae, (clip,) = load_backbone("starter-mae"), tiny.backbones
    mae.pooling = "class"
    with torch.no_grad():
        expected = mae(normalise(images, mae.mean, mae.std))
        assert torch.allclose(mae.visual.norm(class_tokens(mae, images)[-1]), expected, atol=1e-5)
        small = images[:, :, :32, :32]
        expected = clip(normalise(small, clip.mean, clip.std))
        found = clip.visual.ln_post(class_tokens(clip, small)[-1]) @ clip.visual.proj
        assert torch.allclose(found, expected, atol=1e-5)


def test_attention_written_out_is_the_models_own(tiny: Evidence, starters: Path) -> None:
    for name, pooling in (("starter-clip", None), ("starter-mae", "class")):
        backbone = load_backbone(name)
        if pooling:
            backbone.pooling = pooling
        weight = torch.randn(backbone.width, 3, generator=torch.Generator().manual_seed(1))
        member = Member(backbone=backbone, weight=weight)
        images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
        heat = gradcam(member, images, torch.tensor([0, 2]))
        assert heat.shape == (2, 8, 8)
        assert heat.min() >= 0
        assert heat.amax(dim=(1, 2)).tolist() == pytest.approx([1.0, 1.0])
        assert not torch.equal(heat[0], gradcam(member, images, torch.tensor([1, 2]))[0])
        assert class_tokens(backbone, images).shape == (6, 2, 192)
        plain = member.logits(images)
        with tokens._attention(tokens.blocks_of(backbone)[-1].attn):
            assert torch.allclose(member.logits(images), plain, atol=1e-4)
        assert torch.equal(member.logits(images), plain)  # the hook is gone


def test_a_model_that_answers_from_patches_has_no_class_token_to_explain(starters: Path) -> None:
    backbone = load_backbone("starter-mae")
    member = Member(backbone=backbone, weight=torch.ones(backbone.width, 2))
    with pytest.raises(ConfigError, match="answers from its patches"):
        gradcam(member, torch.rand(1, 3, 64, 64), torch.tensor([0]))


def test_a_model_beside_takes_no_other_s_column_whatever_it_is_called(tiny: Evidence) -> None:
    others = {name: with_head(tiny, torch.ones(32, 6), torch.zeros(6)) for name in ("zero-shot", "this model")}
    found = attention(dataclasses.replace(tiny, adapted=True, beside=others, classifier=with_head(
        tiny, tiny.answering.members[0].weight, torch.zeros(6))))
    assert found.notes == ("columns: image, zero-shot, zero-shot, this model, this model",)
    assert found.picture is not None
    assert found.picture.size == (5 * 162 - 2, 8 * 162 - 2)
    assert found.images == 8


def test_visible_patches_are_kept_and_three_quarters_are_hidden(starters: Path, digit_images: ImageSet,
                                                                tmp_path: Path) -> None:
    backbone = load_backbone("starter-mae")
    model = autoencoder.MaskedAutoencoder(backbone.visual, autoencoder.load_decoder("starter-mae", backbone.visual, 0))
    images = torch.rand(2, 3, 64, 64)
    masked, found, hidden = recover(model.eval(), images, backbone, torch.Generator().manual_seed(0))
    assert hidden.mean() == pytest.approx(0.75)
    shown = (hidden == 0).expand_as(images)
    assert torch.equal(masked[shown], images[shown])
    assert torch.allclose(found[shown], images[shown], atol=1e-5)
    assert (masked[~shown] == 0.5).all()
    run = LocalRun(device=torch.device("cpu"), seed=0, folder=tmp_path)
    drawn = recovered(Evidence(run=run, paths=digit_images.names, images=digit_images, backbones=(backbone,)))
    assert drawn.picture is not None
    assert drawn.picture.size == (3 * 162 - 2, 8 * 162 - 2)
    clip = Evidence(run=run, paths=digit_images.names, images=digit_images, backbones=(load_backbone("starter-clip"),))
    with pytest.raises(ConfigError, match="recovered by a decoder"):
        recovered(clip)


@pytest.mark.parametrize("share", [1.0, 0.0, -1.0])
def test_the_error_is_that_of_the_hidden_pattern(share: float, starters: Path, tmp_path: Path,
                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = load_backbone("starter-mae")
    backbone.mean, backbone.std = (0.4,) * 3, (0.25,) * 3
    pattern = np.random.default_rng(0).integers(-60, 61, (8, 8, 3))
    folder = tmp_path / "images"
    folder.mkdir()
    strengths = (0.25, 0.5, 0.75, 1.0)
    for number, strength in enumerate(strengths):  # 8 x 8 patches, all alike; of the images, each brighter and stronger
        tile = np.rint(110 + 12 * number + strength * pattern).astype(np.uint8)
        Image.fromarray(np.tile(tile, (8, 8, 1))).save(folder / f"{number}.png")
    images, _ = open_images(folder, tmp_path / "unpacked")
    standing = torch.from_numpy((pattern - pattern.mean()) / pattern.std(ddof=1)).float().flatten()
    decoder = autoencoder.load_decoder("starter-mae", backbone.visual, 0)
    decoder.predict.weight.data.zero_()
    decoder.predict.bias.data.copy_(share * standing)  # every patch is recovered as this share of the pattern
    monkeypatch.setattr(autoencoder, "load_decoder", lambda *_: decoder)
    found = recovered(Evidence(run=LocalRun(device=torch.device("cpu"), seed=0, folder=tmp_path), paths=images.names,
                               images=images, backbones=(backbone,)))
    deviation = np.abs(pattern - pattern.mean()).mean() / 255
    assert found.figures["mean_absolute_error"] == pytest.approx((1 - share) * deviation * np.mean(strengths), abs=2e-3)
    assert found.picture is not None
    drawn = np.asarray(found.picture).astype(int)
    image, masked, again = (drawn[:160, start:start + 160] for start in (0, 162, 324))
    assert (np.abs(image - again).max() <= 2) == (share == 1.0)
    hidden = (masked == 128).all(axis=2)
    assert hidden.mean() == pytest.approx(0.75, abs=0.01)
    assert (masked[~hidden] == image[~hidden]).all()
