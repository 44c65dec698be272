"""What a method draws is written whole, kept with its words, and says whether it may travel."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from core.__main__ import main
from core.errors import CheckpointError
from core.pictures import Picture, Pictures
from tests.core.methods.test_contract import PICTURES, SMALL, every_method

CHART = Picture(name="score-over-k", title="A chart", caption="Higher is better.", shows_images=False)
SHEET = Picture(name="typical", title="A sheet", caption="Each row is one group.", rows=("cat", "owl"))


def test_what_is_drawn_is_a_png_beside_its_words(tmp_path: Path) -> None:
    pictures = Pictures(tmp_path / "pictures")
    assert not pictures.folder.exists(), "a method that draws nothing leaves no folder"
    pictures.draw(SHEET, Image.new("RGB", (8, 4), "red"))
    pictures.draw(CHART, Image.new("RGB", (6, 6)))
    assert pictures.drawn == [SHEET, CHART]
    with Image.open(tmp_path / "pictures" / "typical.png") as read:
        assert (read.format, read.size, read.getpixel((0, 0))) == ("PNG", (8, 4), (255, 0, 0))
    assert sorted(file.name for file in pictures.folder.iterdir()) == ["score-over-k.png", "typical.png"]


def test_what_shows_a_person_s_images_does_not_travel(tmp_path: Path) -> None:
    pictures = Pictures(tmp_path)
    for one in (SHEET, CHART):
        pictures.draw(one, Image.new("RGB", (2, 2)))
    assert pictures.travelling == {"score-over-k.png": tmp_path / "score-over-k.png"}


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "pictures").write_text("a file")
    with pytest.raises(CheckpointError, match=r"typical\.png: could not be written"):
        Pictures(tmp_path / "pictures").draw(SHEET, Image.new("RGB", (2, 2)))


@every_method
@pytest.mark.usefixtures("starters")
def test_the_shell_leaves_what_a_method_drew_beside_its_result(
        method: str, digits: tuple[Path, list[int]], digit_names: tuple[str, ...], tmp_path: Path) -> None:
    names, labels, out = tmp_path / "names.txt", tmp_path / "labels.csv", tmp_path / "out"
    names.write_text("\n".join(digit_names), encoding="utf-8")
    labels.write_text("path,label\ndigit-0003.png,one\ndigit-0004.png,two\n")
    settings = [part for name, value in SMALL[method].items() for part in ("--set", f"{name}={value}")]
    given = ["--labels", str(labels)] if method == "semimae" else []
    assert main(["adapt", "--images", str(digits[0]), "--names", str(names), "--method", method, *settings, *given,
                 "--out", str(out)]) == 0
    said = json.loads((out / "result.json").read_text())["pictures"]
    assert tuple(one["name"] for one in said) == PICTURES[method]
    assert {file.stem for file in out.glob("pictures/*.png")} == set(PICTURES[method])
    assert all(one["title"] and one["caption"].endswith(".") for one in said)
