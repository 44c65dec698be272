from __future__ import annotations

from pathlib import Path

import pytest
import torch

from core.backbones.features import features, fingerprint
from core.backbones.load import load_backbone
from core.data.images import ImageSet
from core.data.views import EvaluationView, as_tensor, normalise
from core.errors import Cancelled, DataError
from core.shell import LocalRun
from tests.core.recorder import Recorder


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def run(tmp_path, recorder, monkeypatch) -> LocalRun:
    monkeypatch.delenv("LABELFREE_CACHE", raising=False)
    return LocalRun(device=torch.device("cpu"), seed=0, folder=tmp_path / "run", listener=recorder)


@pytest.mark.parametrize("name", ["starter-clip", "starter-mae"])
def test_features_are_what_the_backbone_gives_for_the_evaluation_view_of_each_image(starters, digit_images, run, name):
    backbone = load_backbone(name).train()
    found = features(backbone, digit_images, run, batch_size=16)
    assert found.shape == (60, backbone.width)
    assert found.dtype == torch.float32
    pixels = torch.stack([as_tensor(EvaluationView(64).pixels(digit_images.load(index))) for index in range(60)])
    with torch.inference_mode():
        expected = load_backbone(name)(normalise(pixels, backbone.mean, backbone.std))
    assert torch.allclose(found, expected, atol=1e-5)
    found.mul_(2).requires_grad_()  # an ordinary tensor, for whatever comes next


def test_progress_counts_images_within_the_whole_run(starters, digit_images, run, recorder):
    features(load_backbone("starter-clip"), digit_images, run, stage="looking", first_step=100, total_steps=500,
             batch_size=25)
    assert [(one.stage, one.step, one.total) for one in recorder.reports] == [
        ("looking", 125, 500), ("looking", 150, 500), ("looking", 160, 500)]
    assert all(one.images_per_second > 0 for one in recorder.reports)


def test_kept_features_are_not_made_again(starters, digit_images, run, recorder):
    backbone = load_backbone("starter-clip")
    first = features(backbone, digit_images, run)
    (file,) = (run.folder / "features").iterdir()
    assert file.name.startswith("starter-clip-")
    assert file.suffix == ".safetensors"
    recorder.reports.clear()
    backbone.forward = lambda images: pytest.fail("made again")
    assert torch.equal(features(backbone, digit_images, run, total_steps=300, first_step=40), first)
    assert [(one.step, one.total) for one in recorder.reports] == [(100, 300)]


def test_a_folder_may_be_shared_by_all_runs(starters, digit_images, run, tmp_path, monkeypatch):
    backbone = load_backbone("starter-clip")
    monkeypatch.setenv("LABELFREE_CACHE", str(tmp_path / "shared"))
    features(backbone, digit_images, run)
    features(backbone, digit_images, run, cache=tmp_path / "named")
    assert [one.name for one in (tmp_path / "shared").iterdir()] == [one.name for one in (tmp_path / "named").iterdir()]
    assert not (run.folder / "features").exists()


def test_features_that_cannot_be_kept_are_given_all_the_same(starters, digit_images, run, tmp_path):
    backbone = load_backbone("starter-clip")
    (tmp_path / "full").write_bytes(b"")  # no folder, so nothing can be kept in it
    given = features(backbone, digit_images, run, cache=tmp_path / "full" / "features")
    assert torch.equal(given, features(backbone, digit_images, run, cache=tmp_path / "kept"))


def test_other_images_and_other_weights_have_features_of_their_own(starters, digit_images, run):
    backbone = load_backbone("starter-clip")
    features(backbone, digit_images, run)
    features(backbone, digit_images.subset(range(59)), run)
    before = fingerprint(backbone.visual)
    with torch.no_grad():
        backbone.visual.proj[0, 0] += 1e-3
    assert fingerprint(backbone.visual) != before
    features(backbone, digit_images, run)
    assert len(list((run.folder / "features").iterdir())) == 3


def test_damaged_kept_features_are_made_again(starters, digit_images, run):
    backbone = load_backbone("starter-clip")
    first = features(backbone, digit_images, run)
    (file,) = (run.folder / "features").iterdir()
    file.write_bytes(file.read_bytes()[:1000])
    assert torch.equal(features(backbone, digit_images, run), first)


def test_a_cancelled_reading_keeps_nothing_half_made(starters, digit_images, run):
    run.cancel_requested = True
    with pytest.raises(Cancelled):
        features(load_backbone("starter-clip"), digit_images, run, batch_size=20)
    assert not (run.folder / "features").exists()


def test_a_file_that_went_away_is_named(starters, digit_images, run, tmp_path):
    lost = ImageSet((*digit_images.paths, Path(tmp_path / "gone.png")), (*digit_images.names, "gone.png"))
    with pytest.raises(DataError, match=r"gone\.png: cannot be read"):
        features(load_backbone("starter-clip"), lost, run)
