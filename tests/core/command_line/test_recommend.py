"""`recommend`: the method for some images, from what is known of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.__main__ import main
from tests.core.command_line.asking import Digits, events_of, refusal


def advice(capsys: pytest.CaptureFixture[str], digits: Digits, *asked: object) -> dict[str, object]:
    """Return what is recommended for the 60 digits."""
    return events_of(capsys, "recommend", "--images", digits[0], *map(str, asked))[-1]


def finished(folder: Path, method: str, names: list[str], confirmed: float) -> Path:
    """Write what `recommend` reads of a run."""
    (folder / "model").mkdir(parents=True)
    (folder / "labels.csv").write_text(f"path,label,confidence,margin\na.png,{names[0]},0.9,0.5\n", encoding="utf-8")
    (folder / "model" / "settings.json").write_text(json.dumps({"method": method, "settings": {}}), encoding="utf-8")
    (folder / "result.json").write_text(json.dumps(
        {"class_names": names, "signals": {"group_agreement": confirmed}}), encoding="utf-8")
    return folder


def test_it_says_what_the_page_would(digits: Digits, names: Path, digit_names: tuple[str, ...], tmp_path: Path,
                                     capsys: pytest.CaptureFixture[str]) -> None:
    found = advice(capsys, digits, "--names", names)
    assert (found["method"], found["preset"]) == ("must", "small-collection")
    assert "10 class names and 60 images" in str(found["reason"]) and "minute" in str(found["takes"])
    assert "CLIP ViT-" in str(found["larger"])
    assert advice(capsys, digits, "--classes", 10)["method"] == advice(capsys, digits)["method"] == "turtle"

    fits, fits_not = (finished(tmp_path / str(share), "zeroshot", list(digit_names), share) for share in (0.9, 0.2))
    assert advice(capsys, digits, "--names", names, "--zero-shot", fits)["method"] == "must"
    assert advice(capsys, digits, "--names", names, "--zero-shot", fits_not)["method"] == "turtle"
    labels = tmp_path / "labels.csv"
    labels.write_text("path,label\n" + "".join(
        f"digit-{index:04d}.png,{digit_names[label]}\n" for index, label in enumerate(digits[1])), encoding="utf-8")
    found = advice(capsys, digits, "--names", names, "--zero-shot", fits_not, "--labels", labels)
    assert found["method"] == "semimae"


def test_a_person_reads_it(digits: Digits, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recommend", "--images", str(digits[0]), "--classes", "10"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("TURTLE is recommended for 60 images\n") and "You gave no names" in said


def test_what_does_not_belong_together_is_refused(digits: Digits, names: Path, digit_names: tuple[str, ...],
                                                  tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = finished(tmp_path / "other", "zeroshot", ["cat", "dog"], 0.9)
    must = finished(tmp_path / "must", "must", list(digit_names), 0.9)
    for asked, words in (
            (("--classes", "1"), "nothing to tell apart"), (("--labels", names), "--names FILE"),
            (("--zero-shot", must), "--names FILE"), (("--names", names, "--zero-shot", must), "is no zero-shot run"),
            (("--names", names, "--zero-shot", other), "is no zero-shot run with these class names")):
        code, said = refusal(capsys, "recommend", "--images", digits[0], *asked)
        assert code == 2 and words in said, asked


def test_a_heading_among_the_names_is_noted_and_kept(digits: Digits, tmp_path: Path,
                                                     capsys: pytest.CaptureFixture[str]) -> None:
    listed = tmp_path / "listed.txt"
    listed.write_text("species\nheron\negret\n", encoding="utf-8")
    code, said = refusal(capsys, "recommend", "--images", digits[0], "--names", listed)
    assert code == 0
    assert f"{listed}: the first line, “species”, was taken as a class; leave it out if it is a heading" in said
