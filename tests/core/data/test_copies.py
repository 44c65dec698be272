"""Exact copies between collections."""

from __future__ import annotations

from pathlib import Path

from core.data.copies import grouped, without_copies
from core.data.images import ImageSet


def written(folder: Path, **contents: bytes) -> ImageSet:
    folder.mkdir()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return ImageSet(tuple(folder / name for name in contents), tuple(contents))


def test_byte_for_byte_copies_are_left_out_whatever_they_are_called(tmp_path: Path):
    known = written(tmp_path / "known", one=b"abc", two=b"abcd")
    images = written(tmp_path / "images", copy=b"abcd", other=b"wxyz", longer=b"abcde", one=b"abc")
    assert without_copies(images, known).names == ("other", "longer")
    assert len(without_copies(known, known)) == 0


def test_a_copy_within_a_collection_is_that_collection_s_own_affair(tmp_path: Path):
    images = written(tmp_path / "images", one=b"abc", again=b"abc")
    assert without_copies(images, ImageSet((), ())).names == ("one", "again")


def test_each_image_is_grouped_with_its_copies_by_the_first_of_them(tmp_path: Path):
    images = written(tmp_path / "images", one=b"abc", other=b"xyz", again=b"abc", longer=b"abcd", third=b"abc")
    assert grouped(images) == [[0, 2, 4], [1], [3]]
    assert grouped(ImageSet((), ())) == []
