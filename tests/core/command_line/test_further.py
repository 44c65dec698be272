"""Images beside one's own: a collection to warm up on, and further ones to learn from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.core.command_line.asking import QUICK_MUST, Digits, events_of, refusal, rows


def test_a_larger_collection_is_warmed_up_on_by_its_own_names(
        digits: Digits, names: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    larger = tmp_path / "letters.txt"
    larger.write_text("letter a\nletter b\nletter c\n")
    further = shutil.copytree(digits[0], tmp_path / "further")
    asked = ("adapt", "--images", digits[0], "--names", names, *QUICK_MUST, "--warm-up", further, "--no-baseline",
             *(part for one in ("warm_up_epochs=1", "least_kept=0", "least_used=0") for part in ("--set", one)))
    events_of(capsys, *asked, "--warm-up-names", larger, "--out", tmp_path / "own")
    (further / "note.txt").write_text("no image")
    code, said = refusal(capsys, *asked, "--out", tmp_path / "same")
    assert code == 0 and f"left out note.txt of {further}: not an image" in said
    weights = [(tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("own", "same")]
    assert weights[0] != weights[1]
    assert set(json.loads((tmp_path / "own" / "result.json").read_text())["class_names"]) == set(
        names.read_text().split())


def test_further_images_are_learnt_from_and_not_answered(
        digits: Digits, names: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = sorted(digits[0].iterdir())
    folders = {name: tmp_path / name for name in ("own", "sketches", "signs")}
    for name, part in (("own", paths[:30]), ("sketches", paths[25:45]), ("signs", paths[40:])):
        folders[name].mkdir()
        for path in part:  # five of the sketches are copies of one's own, five of the signs of the sketches
            shutil.copy(path, folders[name] / f"{name}-{path.name}")
    archive = shutil.make_archive(str(tmp_path / "signs"), "zip", folders["signs"])
    (folders["sketches"] / "note.txt").write_text("no image")
    settings = ("templates=one", "epochs=1", "batch_size=20", "mirror=no")
    asked = ("adapt", "--method", "must", "--images", folders["own"], "--names", names,
             *(part for one in settings for part in ("--set", one)), "--also", folders["sketches"])
    code, said = refusal(capsys, *asked, "--also", archive, "--held-out", "0.2", "--out", tmp_path / "out")
    assert code == 0, said
    assert f"left out note.txt of {folders['sketches']}: not an image" in said
    assert "chosen for 60 images" in said
    labels = rows(tmp_path / "out" / "labels.csv")
    assert [row["path"] for row in labels] == [f"own-{path.name}" for path in paths[:30]]
    model = tmp_path / "out" / "model"
    assert "- Images: 24 (own) and 30 of 2 further collections with the same names, without" in (
        model / "CARD.md").read_text()
    stored = json.loads((model / "settings.json").read_text())["settings"]
    assert (stored["further_collections"], stored["further_images"]) == (2, 30)

    code, said = refusal(capsys, *asked, "--also", folders["own"], "--out", tmp_path / "twice")
    assert (code, f"{folders['own']}: adds nothing: each of its images is in --images" in said) == (2, True)
    assert not (tmp_path / "twice").exists()
