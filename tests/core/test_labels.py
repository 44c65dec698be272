"""Label files: written whole, read by column name, every fault named."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import DataError
from core.labels import as_indices, read_confidences, read_labels, read_paths, write_labels


def test_what_is_written_is_read(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    write_labels(file, [("a, b/“x”.png", "heron", 0.9, 0.8), ("two\nlines.png", "egret", 0.5, 0.0)])
    assert read_labels(file) == {"a, b/“x”.png": "heron", "two\nlines.png": "egret"}
    assert file.read_text().splitlines()[0] == "path,label,confidence,margin"
    assert [one.name for one in tmp_path.iterdir()] == ["labels.csv"]


@pytest.mark.parametrize("path", [" a.png", "a.png ", "\ta.png", "a\rb.png", "a\r\nb.png", "\r", "a,\"b\r.png"])
def test_every_path_is_read_back_as_it_was(tmp_path: Path, path: str) -> None:
    file = tmp_path / "labels.csv"
    write_labels(file, [("plain.png", "egret", 0.25, 0.125), (path, "heron", 0.5, 0.25), ("last.png", "heron", 1, 1)])
    assert read_labels(file) == {"plain.png": "egret", path: "heron", "last.png": "heron"}
    assert read_confidences(file) == {"plain.png": 0.25, path: 0.5, "last.png": 1}


def test_usual_paths_are_written_without_quotes(tmp_path: Path) -> None:
    write_labels(tmp_path / "labels.csv", [("b c/é.png", "grey heron", 0.9, 0.8), ("a,b.png", "x", 0.5, 0),
                                           ("\r", "x", 1, 1)])
    assert (tmp_path / "labels.csv").read_bytes() == (
        'path,label,confidence,margin\nb c/é.png,grey heron,0.900000,0.800000\n"a,b.png",x,0.500000,0.000000\n'
        '"\r","x","1.000000","1.000000"\n').encode()


def test_spaces_around_a_label_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "truth.csv").write_text("path,label\n a.png, heron \n", encoding="utf-8")
    assert read_labels(tmp_path / "truth.csv") == {" a.png": "heron"}


def test_where_the_first_line_has_spaces_after_commas_paths_have_none(tmp_path: Path) -> None:
    (tmp_path / "truth.csv").write_text("label, path\nheron, a.png\n", encoding="utf-8")
    assert read_labels(tmp_path / "truth.csv") == {"a.png": "heron"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_columns_are_found_by_name_in_any_usual_encoding(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "truth.csv").write_text("seen by,Label ,Path\r\nme,Reiher é,a.png\r\n", encoding=encoding, newline="")
    assert read_labels(tmp_path / "truth.csv") == {"a.png": "Reiher é"}


@pytest.mark.parametrize(("content", "words"), [
    (b"", "has no column label and path"),
    (b"path,name\na,b\n", "has no column label: the first line must be path,label"),
    (b"path,label\n", "has no labels"),
    (b"path,label\na.png,\n", "line 2 lacks a path or a label"),
    (b"path,label\na.png\n", "line 2 lacks a path or a label"),
    (b"path,label\na.png,x\na.png,y\n", "line 3: a.png already is 'x', now 'y'"),
    (b'path,label,note\na.png,x,"big one\nb.png,y,\nc.png,z,\n', "line 4: a quotation mark is not closed"),
    (b'path,label,note\na.png,x,"' + 200_000 * b"o", "a quotation mark is not closed"),
    ("path,label\na.png,Bär\n".encode("latin-1"), "not text in UTF-8"),
])
def test_it_names_what_is_wrong(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "truth.csv").write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_labels(tmp_path / "truth.csv")
    assert words in str(caught.value)
    assert "truth.csv" in str(caught.value)


def test_labels_become_indices() -> None:
    assert as_indices({"b": "y", "a": "x"}, ["a", "b"], ["x", "y"], "few.csv") == {1: 1, 0: 0}


@pytest.mark.parametrize(("labels", "words"), [({"z": "x"}, "z is not among the images"),
                                               ({"a": "q"}, "'q' (a) is not among the class names")])
def test_labels_of_strangers_are_refused(labels: dict[str, str], words: str) -> None:
    with pytest.raises(DataError) as caught:
        as_indices(labels, ["a", "b"], ["x", "y"], "few.csv")
    assert words in str(caught.value)


def test_paths_are_one_a_line_whatever_else_would_end_one(tmp_path: Path) -> None:
    odd = ["plain.png", "é\u2028b.png", "a\x0bb.png", "c\x85.png", " d .png"]
    for end in ("\n", "\r\n"):
        (tmp_path / "held_out.txt").write_text(end.join([*odd, "", ""]), encoding="utf-8", newline="")
        assert read_paths(tmp_path / "held_out.txt") == odd
