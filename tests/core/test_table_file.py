from __future__ import annotations

import csv
from pathlib import Path

import pytest

from core.table_file import write_table


def test_every_row_is_read_back_as_it_was_whatever_its_cells_hold(tmp_path: Path) -> None:
    rows = [["path", "label"], ["plain.png", "heron"], ["a\rb.png", "x\r"], ["two\nlines, and \"quotes\"", ""]]
    write_table(tmp_path / "made" / "table.csv", [*rows, ["count", 3]])
    with (tmp_path / "made" / "table.csv").open(encoding="utf-8", newline="") as stream:
        assert list(csv.reader(stream)) == [*rows, ["count", "3"]]


def test_a_table_that_cannot_be_finished_leaves_the_one_before(tmp_path: Path) -> None:
    write_table(tmp_path / "table.csv", [["a"]])

    def broken():
        yield ["b"]
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        write_table(tmp_path / "table.csv", broken())
    assert (tmp_path / "table.csv").read_text() == "a\n"


def test_what_cannot_be_put_in_its_place_leaves_nothing_beside_it(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        write_table(tmp_path / "folder", [["path"]])
    assert [one.name for one in tmp_path.iterdir()] == ["folder"]
