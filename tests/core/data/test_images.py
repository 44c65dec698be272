from __future__ import annotations

import io
import os
import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.data.archives import Limits
from core.data.images import Decoded, ImageSet, Refusal, open_images
from core.errors import DataError


def picture(value: int, side: int = 8) -> bytes:
    out = io.BytesIO()
    Image.new("L", (side, side), value).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder with three images, one damaged, one text and what operating systems leave behind."""
    files = {"b/2.png": picture(2), "b/10.png": picture(10), "a.png": picture(1), "cut.png": picture(3)[:50],
             "notes.txt": b"hello", ".DS_Store": b"\0", "__MACOSX/x.png": picture(9), ".git/y.png": b"",
             "b/._2.png": b"\0"}
    for name, content in files.items():
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(content)
    return tmp_path / "photos"


def values(images: ImageSet) -> list[int]:
    return [images.load(index).getpixel((0, 0))[0] for index in range(len(images))]


def test_it_opens_a_folder_sorted_by_name_and_lists_what_it_refuses(folder, tmp_path):
    images, refused = open_images(folder, tmp_path / "unpacked")
    assert images.names == ("a.png", "b/10.png", "b/2.png")
    assert values(images) == [1, 10, 2]
    assert [one.name for one in refused] == ["cut.png", "notes.txt"]
    assert "damaged" in refused[0].reason
    assert "not an image" in refused[1].reason


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_an_archive_gives_the_same_as_its_folder(folder, tmp_path, kind):
    path = tmp_path / f"photos.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for file in folder.rglob("*"):
                archive.write(file, file.relative_to(folder).as_posix())
    else:
        with tarfile.open(path, "w:gz") as archive:
            archive.add(folder, ".")
    from_folder, _ = open_images(folder, tmp_path / "unused")
    images, refused = open_images(path, tmp_path / "unpacked")
    assert images.names == from_folder.names
    assert values(images) == [1, 10, 2]
    assert images.fingerprint == from_folder.fingerprint
    visible = sorted(one.name for one in refused if "hidden" not in one.reason)
    assert visible == ["cut.png", "notes.txt"]
    assert all(file.parent == tmp_path / "unpacked" for file in images.paths)


def test_names_in_an_archive_never_become_paths(tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("../evil.png", "fine.png", "fine.png/../../evil.png", "odd name?.PNG", "CON.exe"):
            archive.writestr(name, picture(5))
    images, refused = open_images(path, tmp_path / "unpacked")
    assert images.names == ("CON.exe", "fine.png", "odd name?.PNG")
    assert {one.name for one in refused} == {"../evil.png", "fine.png/../../evil.png"}
    assert sorted(one.name for one in tmp_path.iterdir()) == ["unpacked", "x.zip"]
    assert sorted(one.name for one in (tmp_path / "unpacked").iterdir()) == ["000000.png", "000001.png", "000002"]


def test_a_second_file_of_the_same_name_is_refused(tmp_path):
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as archive:
        for value in (1, 2):
            entry = tarfile.TarInfo("same.png")
            entry.size = len(picture(value))
            archive.addfile(entry, io.BytesIO(picture(value)))
    images, refused = open_images(path, tmp_path / "unpacked")
    assert values(images) == [1]
    assert refused == [Refusal("same.png", "a second file of the same name in the archive")]


def test_an_archive_that_breaks_a_limit_is_refused_whole(tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for value in range(5):
            archive.writestr(f"{value}.png", picture(value))
    with pytest.raises(DataError, match=r"x\.zip: 5 files, more than 4"):
        open_images(path, tmp_path / "unpacked", Limits(members=4))


def test_no_image_at_all_is_an_error_that_says_why(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty: no readable image among 0 file\(s\)"):
        open_images(tmp_path / "empty", tmp_path / "unpacked")
    (tmp_path / "empty" / "a.txt").write_text("a")
    with pytest.raises(DataError, match=r"among 1 file\(s\); the first file: a\.txt: not an image"):
        open_images(tmp_path / "empty", tmp_path / "unpacked")
    with pytest.raises(DataError, match="no such folder or archive"):
        open_images(tmp_path / "nowhere", tmp_path / "unpacked")
    with pytest.raises(DataError, match=r"a\.txt: neither a zip nor a tar"):
        open_images(tmp_path / "empty" / "a.txt", tmp_path / "unpacked")


def test_a_single_picture_is_told_from_an_archive(folder, tmp_path):
    with pytest.raises(DataError, match=r"a\.png: is one picture; give the folder that it is in"):
        open_images(folder / "a.png", tmp_path / "unpacked")


def test_links_to_images_are_followed_and_broken_ones_refused(folder, tmp_path):
    (folder / "link.png").symlink_to(folder / "a.png")
    (folder / "lost.png").symlink_to(folder / "nowhere.png")
    images, refused = open_images(folder, tmp_path / "unpacked")
    assert "link.png" in images.names
    assert Refusal("lost.png", "a link to nothing or a special file") in refused


def test_a_link_that_cannot_be_followed_is_refused(folder, tmp_path):
    (folder / "long.png").symlink_to("x" * 300)  # no file can be called so
    images, refused = open_images(folder, tmp_path / "unpacked")
    assert len(images) == 3
    assert Refusal("long.png", "cannot be read: File name too long") in refused


def test_a_link_to_a_folder_is_refused_by_name(folder, tmp_path):
    (folder / "b" / "again").symlink_to(folder, target_is_directory=True)
    (folder / ".hidden").symlink_to(folder, target_is_directory=True)
    images, refused = open_images(folder, tmp_path / "unpacked")
    assert images.names == ("a.png", "b/10.png", "b/2.png")
    assert [one.name for one in refused] == ["cut.png", "notes.txt", "b/again"]
    assert refused[-1].reason == "a link to a folder; give that folder itself, or copy it here"
    (tmp_path / "linked").symlink_to(folder, target_is_directory=True)
    assert open_images(tmp_path / "linked", tmp_path / "unpacked")[0].names == images.names


def test_a_folder_that_cannot_be_opened_is_refused_by_name(folder, tmp_path):
    def remove(name: str) -> None:
        shutil.rmtree(folder / "b", ignore_errors=True)  # after it was listed, before it is opened

    images, refused = open_images(folder, tmp_path / "unpacked", seen=remove)
    assert images.names == ("a.png",)
    assert refused[-1] == Refusal("b", "cannot be opened: No such file or directory")


def test_a_name_that_is_no_text_is_refused_in_a_form_that_can_be_shown(folder, tmp_path):
    for name in (b"heron\xff.png", b"caf\xe9/egret.png"):
        file = folder / os.fsdecode(name)
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(picture(4))
    heard: list[str] = []
    images, refused = open_images(folder, tmp_path / "unpacked", seen=heard.append)
    assert images.names == ("a.png", "b/10.png", "b/2.png")
    assert {one.name: one.reason for one in refused if not one.name.isascii()} == dict.fromkeys(
        ("heron\ufffd.png", "caf\ufffd/egret.png"), "its name is not text in UTF-8; rename it")
    assert "heron\ufffd.png" in heard
    assert "".join(heard).encode()


def test_progress_hears_of_every_file(folder, tmp_path):
    heard: list[str] = []
    open_images(folder, tmp_path / "unpacked", seen=heard.append)
    assert sorted(heard) == ["a.png", "b/10.png", "b/2.png", "cut.png", "notes.txt"]


def test_a_subset_keeps_its_own_order_and_names(digit_images):
    part = digit_images.subset([5, 0, 5])
    assert part.names == tuple(digit_images.names[index] for index in (5, 0, 5))
    assert part.load(0) is digit_images.load(5)  # decoded once
    assert len(part) == 3


def test_a_fingerprint_changes_with_names_content_and_order(folder, tmp_path):
    images, _ = open_images(folder, tmp_path / "unpacked")
    seen = {images.fingerprint, images.subset([1, 0, 2]).fingerprint, images.subset([0, 1]).fingerprint,
            ImageSet(images.paths, ("x", *images.names[1:])).fingerprint}
    (folder / "a.png").write_bytes(picture(77))
    seen.add(open_images(folder, tmp_path / "unpacked")[0].fingerprint)
    assert len(seen) == 5


def test_a_fingerprint_outlives_a_copy_and_sees_a_change_within_a_large_file(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (800, 800, 3), dtype=np.uint8)
    one = tmp_path / "large.bmp"
    Image.fromarray(pixels).save(one)
    assert one.stat().st_size > 1 << 20
    before = ImageSet((one,), ("large",)).fingerprint
    assert ImageSet((one,), ("large",)).fingerprint == before
    pixels[400, 400] ^= 255
    Image.fromarray(pixels).save(one)
    assert ImageSet((one,), ("large",)).fingerprint != before


def test_a_file_that_went_away_is_named(folder, tmp_path):
    images, _ = open_images(folder, tmp_path / "unpacked")
    fresh = ImageSet(images.paths, images.names)
    (folder / "b" / "10.png").unlink()
    with pytest.raises(DataError, match=r"b/10\.png: cannot be read: No such file"):
        fresh.load(1)


def test_decoded_pictures_are_kept_within_bounds(folder, tmp_path):
    images, _ = open_images(folder, tmp_path / "unpacked")
    bounded = ImageSet(images.paths, images.names, Decoded(limit_bytes=8 * 8 * 4 * 2))
    first = [bounded.load(index) for index in range(3)]
    assert [bounded.load(index) is first[index] for index in range(3)] == [True, True, False]
    assert bounded.decoded.size_bytes == 8 * 8 * 4 * 2
    assert first[2].tobytes() == bounded.load(2).tobytes()


def test_large_pictures_are_kept_reduced_only(tmp_path):
    Image.new("RGB", (900, 600), (1, 2, 3)).save(tmp_path / "large.png")
    images = ImageSet((tmp_path / "large.png",), ("large",), Decoded())
    assert images.load(0).size == (900, 600)
    assert images.decoded.size_bytes == 0
    reduced = images.load(0, at_least_px=128)
    assert reduced.size == (192, 128)
    assert images.load(0, at_least_px=128) is reduced
    assert images.load(0).size == (900, 600)


def test_as_many_names_as_files(tmp_path):
    with pytest.raises(ValueError, match="1 files but 2 names"):
        ImageSet((tmp_path,), ("a", "b"))
