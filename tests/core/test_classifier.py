from __future__ import annotations

import json

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from sklearn.datasets import load_sample_image

from core.backbones.load import load_backbone
from core.classifier import Classifier, Member, Predictions, cluster_names
from core.data.images import ImageSet
from core.data.views import EvaluationView, as_tensor
from core.errors import Cancelled, CheckpointError
from core.shell import LocalRun
from tests.core.recorder import Recorder


def member(name: str, classes: int = 10, seed: int = 0, **details: object) -> Member:
    backbone = load_backbone(name)
    generator = torch.Generator().manual_seed(seed)
    return Member(backbone=backbone, weight=torch.randn(backbone.width, classes, generator=generator), **details)


@pytest.fixture
def one_member(starters) -> Classifier:
    return Classifier(members=(member("starter-clip", normalise=True, scale=14.3),), class_names=cluster_names(10),
                      method="zeroshot", settings={"templates": "openai-80"})


@pytest.fixture
def two_members(starters) -> Classifier:
    return Classifier(members=(member("starter-clip"), member("starter-mae", seed=1, bias=torch.arange(10.0))),
                      class_names=tuple("abcdefghij"), method="turtle")


def pixels(images: ImageSet) -> torch.Tensor:
    return torch.stack([as_tensor(EvaluationView(64).pixels(images.load(index))) for index in range(len(images))])


def seen(images: ImageSet, side_px: int) -> torch.Tensor:
    """Return the first image as a batch, at the side that a backbone sees."""
    return as_tensor(EvaluationView(side_px).pixels(images.load(0)))[None]


def test_logits_of_one_member_are_linear_in_its_embedding(one_member, digit_images):
    images = pixels(digit_images)
    (only,) = one_member.members
    mean, std = (torch.tensor(value).view(1, 3, 1, 1) for value in (only.backbone.mean, only.backbone.std))
    with torch.no_grad():
        embedding = only.backbone((images - mean) / std)
    expected = 14.3 * (embedding / embedding.norm(dim=1, keepdim=True)) @ only.weight
    assert torch.allclose(one_member.logits(images), expected, atol=1e-4)


def test_several_members_answer_with_the_mean_of_their_softmaxes(two_members, digit_images):
    images = pixels(digit_images)
    with torch.inference_mode():
        each = [one.logits(images).softmax(1) for one in two_members.members]
    found = two_members.logits(images).softmax(1)
    assert torch.allclose(found, (each[0] + each[1]) / 2, atol=1e-6)
    assert torch.isfinite(two_members.logits(images)).all()


def test_logits_stay_finite_where_every_member_is_certain(two_members, digit_images):
    certain = Classifier(members=tuple(Member(backbone=one.backbone, weight=one.weight * 1e6)
                                       for one in two_members.members),
                         class_names=two_members.class_names, method="turtle")
    found = certain.logits(pixels(digit_images))
    assert torch.isfinite(found).all()
    assert torch.allclose(found.softmax(1).sum(1), torch.ones(60))


def test_members_may_be_summed_as_k_means_on_concatenated_features_is(two_members, digit_images):
    summed = Classifier(members=two_members.members, class_names=two_members.class_names, method="kmeans",
                        combination="sum_of_logits")
    images = pixels(digit_images)
    with torch.inference_mode():
        expected = sum(one.logits(images) for one in two_members.members)
    assert torch.allclose(summed.logits(images), expected, atol=1e-4)


@pytest.mark.parametrize("which", ["one_member", "two_members"])
def test_predictions_are_the_softmax_of_the_logits_in_the_order_of_the_images(which, digit_images, request):
    classifier = request.getfixturevalue(which)
    found = classifier.predict(digit_images, batch_size=7)
    assert torch.allclose(found.probabilities, classifier.logits(pixels(digit_images)).softmax(1), atol=1e-5)
    assert found.probabilities.dtype == torch.float32


def test_predictions_know_label_confidence_margin_and_histogram():
    found = Predictions(torch.tensor([[0.7, 0.2, 0.1], [0.25, 0.25, 0.5], [0.9, 0.1, 0.0]]))
    assert found.labels.tolist() == [0, 2, 0]
    assert torch.allclose(found.confidence, torch.tensor([0.7, 0.5, 0.9]))
    assert torch.allclose(found.margin, torch.tensor([0.5, 0.25, 0.8]))
    assert found.histogram.tolist() == [2, 0, 1]


def test_predicting_reports_and_stops_when_asked_to(one_member, digit_images, tmp_path):
    recorder = Recorder()
    run = LocalRun(device=torch.device("cpu"), seed=0, folder=tmp_path, listener=recorder)
    one_member.predict(digit_images, run, first_step=40, total_steps=100, batch_size=40)
    assert [(one.stage, one.step, one.total) for one in recorder.reports] == [
        ("answering", 80, 100), ("answering", 100, 100)]
    run.cancel_requested = True
    with pytest.raises(Cancelled):
        one_member.predict(digit_images, run)


def test_predicting_switches_training_noise_off(one_member, digit_images):
    expected = one_member.predict(digit_images).probabilities
    one_member.members[0].backbone.train()
    assert torch.equal(one_member.predict(digit_images).probabilities, expected)


@pytest.mark.parametrize("which", ["one_member", "two_members"])
def test_it_saves_and_loads_the_same(which, digit_images, tmp_path, request):
    classifier = request.getfixturevalue(which)
    classifier.save(tmp_path / "model")
    assert sorted(one.name for one in (tmp_path / "model").iterdir()) == ["model.safetensors", "settings.json"]
    loaded = Classifier.load(tmp_path / "model")
    assert (loaded.class_names, loaded.method, loaded.combination, dict(loaded.settings)) == (
        classifier.class_names, classifier.method, classifier.combination, dict(classifier.settings))
    assert torch.equal(loaded.predict(digit_images).probabilities, classifier.predict(digit_images).probabilities)
    loaded.save(tmp_path / "again")
    for name in ("model.safetensors", "settings.json"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "model" / name).read_bytes()


def test_a_saved_classifier_needs_no_weights_from_elsewhere(one_member, digit_images, tmp_path, monkeypatch):
    one_member.save(tmp_path / "model")
    expected = one_member.predict(digit_images).probabilities
    monkeypatch.setenv("LABELFREE_WEIGHTS", str(tmp_path / "nowhere"))
    assert torch.equal(Classifier.load(tmp_path / "model").predict(digit_images).probabilities, expected)


def test_the_text_tower_is_not_saved(one_member, tmp_path):
    one_member.save(tmp_path)
    keys = set(load_file(tmp_path / "model.safetensors"))
    assert {key.split(".")[2] for key in keys} <= {"visual", "weight", "bias"}
    assert "members.0.visual.proj" in keys
    assert (tmp_path / "model.safetensors").stat().st_size < 13_000_000


def test_settings_say_all_that_it_takes_to_build_the_model_again(two_members, tmp_path):
    two_members.save(tmp_path)
    said = json.loads((tmp_path / "settings.json").read_text())
    assert said["format_version"] == 1
    assert said["class_names"] == list("abcdefghij")
    clip, mae = said["members"]
    assert clip["library"] == "open_clip"
    assert clip["config"]["vision_cfg"]["patch_size"] == 8
    assert clip["config"]["quick_gelu"] is True
    assert mae["config"]["architecture"] == "vit_tiny_patch16_224"
    assert mae["config"]["pooling"] == "patches"
    for one in (clip, mae):
        assert one["image_size_px"] == 64
        assert len(one["mean"]) == len(one["std"]) == 3


def test_members_of_other_sizes_look_at_each_image_in_their_own(starters, tmp_path):
    small, large = load_backbone("starter-clip"), load_backbone("starter-mae")
    large.image_size_px = 128
    large.visual.set_input_size((128, 128))
    Image.fromarray(load_sample_image("china.jpg")).resize((300, 200)).save(tmp_path / "photo.png")
    images = ImageSet((tmp_path / "photo.png",), ("photo.png",))
    classifier = Classifier(members=(Member(backbone=small, weight=torch.randn(256, 3)),
                                     Member(backbone=large, weight=torch.randn(192, 3))),
                            class_names=("a", "b", "c"), method="turtle")
    assert classifier.image_sizes_px == (64, 128)
    with torch.inference_mode():
        each = [one.logits(seen(images, one.backbone.image_size_px)).softmax(1)
                for one in classifier.members]
    found = classifier.predict(images).probabilities
    assert torch.allclose(found, (each[0] + each[1]) / 2, atol=1e-5)
    near = classifier.logits(seen(images, 128)).softmax(1)
    assert torch.allclose(near, found, atol=0.1)


@pytest.mark.parametrize(("change", "reason"), [
    (lambda said: said.update(format_version=2), "saved in format 2, this labelfree reads format 1; use the"),
    (lambda said: said.pop("format_version"), "saved in format None"),
    (lambda said: said.pop("members"), "not a saved classifier, or damaged"),
    (lambda said: said.update(members=[]), "not a saved classifier, or damaged"),
    (lambda said: said["class_names"].pop(), "not a saved classifier, or damaged"),
    (lambda said: said["members"][0]["config"]["vision_cfg"].update(layers=5), "not a saved classifier, or damaged"),
], ids=("newer", "no version", "no members", "empty members", "a name too few", "another network"))
def test_it_refuses_another_version_or_a_damaged_description(one_member, tmp_path, change, reason):
    one_member.save(tmp_path)
    said = json.loads((tmp_path / "settings.json").read_text())
    change(said)
    (tmp_path / "settings.json").write_text(json.dumps(said))
    with pytest.raises(CheckpointError, match=reason):
        Classifier.load(tmp_path)


def test_it_refuses_damaged_or_missing_files(one_member, tmp_path):
    with pytest.raises(CheckpointError, match="not a saved classifier"):
        Classifier.load(tmp_path / "nowhere")
    one_member.save(tmp_path)
    content = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(content[:-1000])
    with pytest.raises(CheckpointError, match="not a saved classifier, or damaged"):
        Classifier.load(tmp_path)
    (tmp_path / "settings.json").write_text("{")
    with pytest.raises(CheckpointError, match="not a saved classifier, or damaged"):
        Classifier.load(tmp_path)


def test_a_failed_save_leaves_the_model_before_it_whole_and_says_what_to_do(one_member, digit_images, tmp_path):
    one_member.save(tmp_path)
    expected = one_member.predict(digit_images).probabilities
    (tmp_path / "model.part").mkdir()  # nothing can be written there
    with pytest.raises(CheckpointError, match=r"could not be written: .*; free some space and try again") as caught:
        one_member.save(tmp_path)
    assert caught.value.retryable
    assert torch.equal(Classifier.load(tmp_path).predict(digit_images).probabilities, expected)


def test_a_head_must_fit_its_backbone_and_the_names(starters):
    with pytest.raises(ValueError, match=r"head of \(256, 10\) for \(256, 9\)"):
        Classifier(members=(member("starter-clip"),), class_names=cluster_names(9), method="zeroshot")
    with pytest.raises(ValueError, match="0 members"):
        Classifier(members=(), class_names=("a", "b"), method="zeroshot")


def test_nameless_clusters_are_numbered_from_one():
    assert cluster_names(3) == ("cluster 1", "cluster 2", "cluster 3")
