"""Folders of images as people keep them: odd names, links, and results kept beside or among the images."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from core.errors import ConfigError
from core.labels import read_labels
from core.request import AdaptRequest, begin
from tests.core.command_line.asking import Digits, refusal


@pytest.fixture
def photos(digits: Digits, tmp_path: Path) -> Path:
    """Return a folder of twelve digits."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(12):
        shutil.copy(digits[0] / f"digit-{number:04d}.png", folder / f"{number}.png")
    return folder


def test_what_cannot_be_used_is_named_and_the_rest_is_answered(
        photos: Path, names: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(photos / "0.png", photos / os.fsdecode(b"heron\xff.png"))
    (tmp_path / "elsewhere").mkdir()
    (photos / "link").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (photos / "1.png").rename(photos / " 1\r.png ")
    code, said = refusal(capsys, "adapt", "--images", photos, "--names", names, "--set", "templates=one", "--out",
                         tmp_path / "out")
    assert code == 0, said
    assert "left out heron\ufffd.png: its name is not text in UTF-8; rename it" in said
    assert "left out link: a link to a folder; give that folder itself, or copy it here" in said
    assert json.loads((tmp_path / "out" / "result.json").read_text(encoding="utf-8"))["refused"] == 2
    expected = {" 1\r.png ", *(f"{number}.png" for number in range(12) if number != 1)}
    assert read_labels(tmp_path / "out" / "labels.csv").keys() == expected


@pytest.mark.parametrize("below", ["out", "runs/2026/out", "link/out", "."])
def test_results_are_not_written_among_the_images(
        below: str, photos: Path, names: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "link").symlink_to(photos, target_is_directory=True)
    out = tmp_path / below if below.startswith("link") else photos / below
    before = sorted(photos.rglob("*"))
    code, said = refusal(capsys, "adapt", "--images", photos, "--names", names, "--out", out)
    assert code == 2
    assert said == (f"error: out: {out} lies within --images {photos}, and a later run would take its pictures for "
                    "images; choose a folder outside\n")
    assert sorted(photos.rglob("*")) == before


@pytest.mark.parametrize("option", ["also", "replay", "warm-up"])
def test_results_are_not_written_among_further_images(option: str, photos: Path, tmp_path: Path) -> None:
    further = tmp_path / "further"
    further.mkdir()
    out = further / "out"
    with pytest.raises(ConfigError) as caught:
        begin(AdaptRequest(images=photos, out=out, also=(further,) if option == "also" else (),
                           replay=further if option == "replay" else None,
                           warm_up=further if option == "warm-up" else None))
    assert f"out: {out} lies within --{option} {further}" in str(caught.value)
    assert not out.exists()


def test_results_may_lie_beside_the_images(photos: Path, tmp_path: Path) -> None:
    assert begin(AdaptRequest(images=photos, out=tmp_path / "photos-out")) == tmp_path / "photos-out" / "work"
    archive = Path(shutil.make_archive(str(tmp_path / "more"), "zip", photos))
    assert begin(AdaptRequest(images=archive, out=tmp_path / "out")).is_dir()
