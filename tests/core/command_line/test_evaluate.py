"""`evaluate`: labels beside the truth."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.__main__ import main


def test_evaluation_compares_names_and_can_keep_to_what_was_held_out(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels, truth, only = (tmp_path / name for name in ("labels.csv", "truth.csv", "only.txt"))
    labels.write_text("path,label,confidence,margin\na,cat,1,1\nb,cat,1,1\nc,dog,1,1\nd,dog,1,1\n")
    truth.write_text("label,path\ncat,a\ndog,b\ndog,c\n")
    only.write_text("a\nc\n")
    assert main(["evaluate", "--labels", str(labels), "--truth", str(truth), "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert measured["images"] == 3
    assert measured["accuracy"] == pytest.approx(2 / 3)
    assert measured["mean_per_class"] == pytest.approx(0.75)
    main(["evaluate", "--labels", str(labels), "--truth", str(truth), "--only", str(only), "--json"])
    assert json.loads(capsys.readouterr().out)["accuracy"] == 1.0


def test_case_and_spaces_of_a_name_do_not_matter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels, truth = tmp_path / "labels.csv", tmp_path / "truth.csv"
    labels.write_text("path,label,confidence,margin\na,cat,1,1\nb,cat,1,1\nc,prairie dog,1,1\nd,prairie dog,1,1\n")
    truth.write_text("path,label\na,Cat\nb,Prairie  dog\nc,prairie Dog\nd,CAT\n")
    assert main(["evaluate", "--labels", str(labels), "--truth", str(truth), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] == pytest.approx(2 / 4)


def test_paths_to_keep_to_are_read_as_other_text_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels, only = tmp_path / "labels.csv", tmp_path / "only.txt"
    labels.write_text("path,label,confidence,margin\na,cat,1,1\nb,cat,1,1\nc,dog,1,1\n")
    only.write_bytes(b"\xef\xbb\xbfa\r\nb\r\nelsewhere\r\n")
    assert main(["evaluate", "--labels", str(labels), "--truth", str(labels), "--only", str(only), "--json"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert "elsewhere has no true label (1 such paths" in said[0]
    assert json.loads(said[-1])["images"] == 2


@pytest.mark.parametrize(("asked", "words"), [("", "only.txt: lists nothing"), ("d\n", "labels.csv that --only lists")])
def test_what_to_keep_to_is_named_where_nothing_is_left(asked: str, words: str, tmp_path: Path,
                                                        capsys: pytest.CaptureFixture[str]) -> None:
    labels, only = tmp_path / "labels.csv", tmp_path / "only.txt"
    labels.write_text("path,label,confidence,margin\na,cat,1,1\n")
    only.write_text(asked)
    assert main(["evaluate", "--labels", str(labels), "--truth", str(labels), "--only", str(only)]) == 2
    assert words in capsys.readouterr().err
