"""The bench that breaks things is itself tried: it is seeded, and what must not be is seen."""

from __future__ import annotations

import zipfile
from io import BytesIO

import pytest

from benchmarks import hostile_archives, hostile_images, reading_child
from benchmarks.reading_child import Reader
from core.data import decoding


@pytest.mark.parametrize("kind", hostile_images.KINDS)
def test_the_same_trial_has_the_same_files_and_honest_ones_are_read(kind: str) -> None:
    assert list(hostile_images.mutated(kind, 3, 5)) == list(hostile_images.mutated(kind, 3, 5))
    assert len({*hostile_images.mutated(kind, 0, 40)}) > 30
    for content in hostile_images.honest(kind):
        assert reading_child.read("picture", "honest", content) == (True, "")


def test_what_is_not_refused_by_name_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    content = hostile_images.honest("PNG")[0]
    monkeypatch.setattr(decoding, "_rgb", lambda image: 1 / 0)
    kept, wrong = reading_child.read("picture", "a.png", content)
    assert (kept, wrong) == (False, "")  # a division by zero within a decoder is damage
    monkeypatch.setattr(decoding, "tiffs", None)
    kept, wrong = reading_child.read("picture", "a.png", content)
    assert not kept and wrong.startswith("not refused but raised AttributeError")
    assert reading_child.read("picture", "a.png", b"no picture") == (False, "")


def test_a_reader_that_dies_is_wrong_and_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    with Reader() as reader:
        assert reader.give("picture", "a.png", hostile_images.honest("PNG")[0]).kept
        assert reader._process is not None
        reader._process.kill()
        reader._process.wait()
        assert reader.give("picture", "a.png", b"x").wrong == "ended its reader (-9)"
        assert reader.give("picture", "a.png", b"x").wrong == ""


def test_hostile_archives_are_what_they_say() -> None:
    for one in hostile_archives.HOSTILE:
        if one.name.endswith(".zip") and one.images and "lie.png" not in one.refused and one.name != "twice.zip":
            names = zipfile.ZipFile(BytesIO(one.make())).namelist()
            assert len(names) == len(one.images) + len(one.refused), one.name
