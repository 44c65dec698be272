from __future__ import annotations

import json
import socket
import time

import pytest
from huggingface_hub import constants

from core.backbones import weights
from core.backbones.load import load_backbone
from core.catalog import BACKBONES
from core.errors import ConfigError, WeightsUnavailable


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"backbone: unknown backbone 'clip-vit-x'; choose one of starter-clip, "):
        weights.locate("clip-vit-x")
    with pytest.raises(ConfigError, match="dinov2-vit-l14"):
        load_backbone("")


def test_a_folder_of_ones_own_is_looked_at_first(starters):
    assert weights.locate("starter-clip") == starters / "starter-clip.safetensors"
    (starters / "clip-vit-l14.safetensors").write_bytes(b"x")
    try:
        assert weights.locate("clip-vit-l14") == starters / "clip-vit-l14.safetensors"
    finally:
        (starters / "clip-vit-l14.safetensors").unlink()


def test_bundled_weights_come_from_the_package_unless_they_are_overridden(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "BUNDLED", tmp_path)
    monkeypatch.setenv("LABELFREE_WEIGHTS", str(tmp_path / "other"))
    with pytest.raises(WeightsUnavailable, match=r"starter-clip\.safetensors is missing; restore it"):
        weights.locate("starter-clip")
    with pytest.raises(WeightsUnavailable, match=r"starter-mae\.json, which describes it, is missing"):
        weights.bundled_config("starter-mae")
    (tmp_path / "starter-clip.safetensors").write_bytes(b"x")
    (tmp_path / "starter-clip.json").write_text(json.dumps({"model_cfg": {}}))
    assert weights.locate("starter-clip") == tmp_path / "starter-clip.safetensors"
    assert weights.bundled_config("starter-clip") == {"model_cfg": {}}


@pytest.mark.parametrize("name", [name for name, row in BACKBONES.items() if row.pretrained != "bundled"])
def test_weights_that_cannot_be_fetched_are_named_at_once_with_the_fix(name, monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(time, "sleep", pytest.fail)
    monkeypatch.setattr(socket.socket, "connect", pytest.fail)
    with pytest.raises(WeightsUnavailable) as caught:
        weights.locate(name)
    said = str(caught.value)
    assert said.startswith(f"weights of {name}: not cached, and HF_HUB_OFFLINE forbids fetching timm/")
    assert f"put the file as {name}.safetensors into a folder and set LABELFREE_WEIGHTS to it" in said
    assert caught.value.retryable


def test_without_a_network_it_says_so_without_a_pause_and_does_not_retry(monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with socket.socket() as closed:  # a port that nobody listens on
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{closed.getsockname()[1]}")
        for variable in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.delenv(variable, raising=False)
        monkeypatch.setattr(time, "sleep", pytest.fail)
        with pytest.raises(WeightsUnavailable, match=r"not cached, and http://127\.0\.0\.1:\d+ does not answer"):
            weights.locate("clip-vit-b16")


def test_cached_weights_are_found_offline(monkeypatch, tmp_path):
    repository = tmp_path / "models--timm--vit_base_patch16_224.mae"
    (repository / "snapshots" / "abc").mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    (repository / "snapshots" / "abc" / "model.safetensors").write_bytes(b"x")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert weights.locate("mae-vit-b16") == repository / "snapshots" / "abc" / "model.safetensors"


def test_weights_that_do_not_fit_are_named(starters, tmp_path, monkeypatch):
    for name in ("starter-clip", "starter-mae"):
        (tmp_path / f"{name}.json").write_bytes((starters / f"{name}.json").read_bytes())
        (tmp_path / f"{name}.safetensors").write_bytes(b"not safetensors at all")
    other = json.loads((tmp_path / "starter-clip.json").read_text())
    monkeypatch.setenv("LABELFREE_WEIGHTS", str(tmp_path))
    for name in ("starter-clip", "starter-mae"):
        said = rf"weights of {name}: .*{name}\.safetensors does not fit the model"
        with pytest.raises(WeightsUnavailable, match=said):
            load_backbone(name)
    (tmp_path / "starter-clip.safetensors").write_bytes((starters / "starter-clip.safetensors").read_bytes())
    other["model_cfg"]["vision_cfg"]["layers"] = 5
    (tmp_path / "starter-clip.json").write_text(json.dumps(other))
    with pytest.raises(WeightsUnavailable, match="does not fit the model"):
        load_backbone("starter-clip")
