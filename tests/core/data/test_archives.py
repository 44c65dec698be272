from __future__ import annotations

import bz2
import gzip
import io
import random
import stat
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from core.data.archives import Limits, Member, Skipped, is_archive, members
from core.errors import DataError

CONTENT = b"the bytes of a picture" * 10
TAR_KINDS = {"tar": "w", "tar.gz": "w:gz", "tar.bz2": "w:bz2", "tar.xz": "w:xz"}


def make_zip(path: Path, files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def make_tar(path: Path, files: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def made(path: Path, files: dict[str, bytes]) -> Path:
    return make_zip(path, files) if path.suffix == ".zip" else make_tar(path, files)


def read(archive: Path, limits: Limits | None = None) -> tuple[dict[str, bytes], dict[str, str]]:
    """Return (name -> content, name -> why skipped)."""
    contents, skipped = {}, {}
    for one in members(archive, limits):
        if isinstance(one, Skipped):
            skipped[one.name] = one.reason
        else:
            assert isinstance(one, Member)
            contents[one.name] = one.read()
    return contents, skipped


FILES = {"cats/1.png": CONTENT, "cats/2.png": CONTENT * 2, "dogs/žluťásek 3.jpg": b"", "top.png": b"x"}


def test_it_reads_a_zip_in_its_order(tmp_path):
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        found, skipped = read(make_zip(tmp_path / "photos.zip", FILES, compression))
        assert list(found.items()) == list(FILES.items())
        assert not skipped


@pytest.mark.parametrize("kind", TAR_KINDS)
def test_it_reads_a_tar_in_its_order(tmp_path, kind):
    found, skipped = read(make_tar(tmp_path / f"photos.{kind}", FILES, TAR_KINDS[kind]))
    assert list(found.items()) == list(FILES.items())
    assert not skipped


@pytest.mark.parametrize("kind", TAR_KINDS)
def test_a_member_of_a_tar_need_not_be_read(tmp_path, kind):
    archive = make_tar(tmp_path / "photos", FILES, TAR_KINDS[kind])
    assert [one.name for one in members(archive)] == list(FILES)


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_folders_are_passed_over(tmp_path, kind):
    (tmp_path / "in" / "empty").mkdir(parents=True)
    (tmp_path / "in" / "a.png").write_bytes(b"a")
    path = tmp_path / f"x.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.mkdir("empty")
            archive.write(tmp_path / "in" / "a.png", "a.png")
    else:
        with tarfile.open(path, "w") as archive:
            archive.add(tmp_path / "in", "in")
    assert [Path(one.name).name for one in members(path)] == ["a.png"]


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize(("name", "reason"), [
    ("../evil.png", "points outside its archive"), ("a/../../evil.png", "points outside its archive"),
    ("..\\evil.png", "points outside its archive"), ("/etc/evil.png", "an absolute path"),
    ("\\evil.png", "an absolute path"), ("C:/evil.png", "an absolute path"), ("c:\\evil.png", "an absolute path"),
    ("__MACOSX/._1.png", "a hidden file"), ("._1.png", "a hidden file"), (".DS_Store", "a hidden file"),
    (".git/config", "a hidden file"), ("photos/Thumbs.db", "a hidden file"), ("more.zip", "an archive inside"),
    ("more.tar.GZ", "an archive inside"), ("x/more.rar", "an archive inside"),
])
def test_it_skips_a_bad_name_with_its_reason_and_reads_the_rest(tmp_path, kind, name, reason):
    archive = made(tmp_path / f"photos.{kind}", {"1.png": b"1", name: b"evil", "2.png": b"2"})
    found, skipped = read(archive)
    assert found == {"1.png": b"1", "2.png": b"2"}
    ((shown, why),) = skipped.items()
    assert shown == name.replace("\\", "/")
    assert why.startswith(reason)


def test_it_skips_links_and_devices_in_a_tar(tmp_path):
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as archive:
        for name, kind in (("soft.png", tarfile.SYMTYPE), ("hard.png", tarfile.LNKTYPE), ("dev.png", tarfile.CHRTYPE),
                           ("pipe.png", tarfile.FIFOTYPE)):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, "/etc/passwd"
            archive.addfile(entry)
        entry = tarfile.TarInfo("last.png")
        archive.addfile(entry)
    found, skipped = read(path)
    assert found == {"last.png": b""}
    assert skipped == {"soft.png": "a link, not a file", "hard.png": "a link, not a file",
                       "dev.png": "a device or another special file, not a file",
                       "pipe.png": "a device or another special file, not a file"}


def test_it_skips_links_locked_and_strangely_packed_members_of_a_zip(tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        entry = zipfile.ZipInfo("link.png")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")
        archive.writestr("locked.png", b"secret")
        archive.writestr("strange.png", b"packed")
        archive.writestr("plain.png", b"plain")
    content = bytearray(path.read_bytes())
    directory = content.rindex(b"PK\x01\x02", 0, content.rindex(b"strange.png"))
    content[directory + 10] = 97  # WavPack
    directory = content.rindex(b"PK\x01\x02", 0, content.rindex(b"locked.png"))
    content[directory + 8] |= 1
    path.write_bytes(content)
    found, skipped = read(path)
    assert found == {"plain.png": b"plain"}
    assert [why.split(";")[0] for why in skipped.values()] == [
        "a link or a device, not a file", "locked with a password", "packed in a way that cannot be read here"]


def test_it_reads_utf8_names_that_a_mac_wrote_without_saying_so(tmp_path):
    path = make_zip(tmp_path / "x.zip", {"zluta.png": b"1"})
    content = path.read_bytes().replace(b"zluta.png", "žlu.png".encode() + b"\0")
    assert len(content) == path.stat().st_size
    path.write_bytes(content.replace(b"\0PK\x05", b"\0PK\x05"))
    assert next(iter(read(path)[0])).startswith("žlu.png")


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_it_skips_a_member_that_is_too_large(tmp_path, kind):
    archive = made(tmp_path / f"x.{kind}", {"big.png": bytes(5000), "small.png": b"s"})
    found, skipped = read(archive, Limits(member_bytes=4096))
    assert found == {"small.png": b"s"}
    assert skipped == {"big.png": "5,000 bytes, more than 4,096"}


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_it_refuses_too_many_files(tmp_path, kind):
    archive = made(tmp_path / f"many.{kind}", {f"{n}.png": b"" for n in range(21)})
    with pytest.raises(DataError, match=rf"many\.{kind}: .*more than 20"):
        read(archive, Limits(members=20))
    assert len(read(archive, Limits(members=21))[0]) == 21


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_it_refuses_too_many_bytes(tmp_path, kind):
    archive = made(tmp_path / f"large.{kind}", {f"{n}.png": bytes(1000) for n in range(20)})
    with pytest.raises(DataError, match=rf"large\.{kind}: unpacks to more than 15,000 bytes"):
        read(archive, Limits(total_bytes=15_000))


def test_it_refuses_a_zip_bomb_before_it_unpacks_anything(tmp_path):
    small = Limits(ratio_floor_bytes=1_000_000)
    archive = make_zip(tmp_path / "bomb.zip", {f"{n}.png": bytes(300_000) for n in range(4)})
    with pytest.raises(DataError, match=r"bomb\.zip: unpacks to more than 200 times its size"):
        next(members(archive, small))
    honest = make_zip(tmp_path / "honest.zip", {f"{n}.png": random.Random(n).randbytes(300_000) for n in range(4)})
    assert len(read(honest, small)[0]) == 4


def test_the_usual_limits_stop_a_bomb_of_gigabytes(tmp_path):
    path = make_zip(tmp_path / "bomb.zip", {f"{n}.png": b"" for n in range(4)})
    content = bytearray(path.read_bytes())
    for n in range(4):
        directory = content.rindex(b"PK\x01\x02", 0, content.rindex(f"{n}.png".encode()))
        content[directory + 24:directory + 28] = (100_000_000).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"bomb\.zip: unpacks to more than 200 times its size"):
        next(members(path))


@pytest.mark.parametrize("kind", ["tar.gz", "tar.bz2", "tar.xz"])
def test_it_refuses_a_tar_bomb_wherever_it_shows(tmp_path, kind):
    archive = make_tar(tmp_path / f"bomb.{kind}", {f"{n}.png": bytes(400_000) for n in range(15)}, TAR_KINDS[kind])
    for take in (lambda one: one.read(), lambda one: None):
        with pytest.raises(DataError, match=r"bomb\.tar\.\w+: unpacks to more than 200 times its size"):
            for one in members(archive, Limits(ratio_floor_bytes=1_000_000)):
                take(one)


def test_it_unpacks_no_more_of_a_member_than_its_header_promised(tmp_path):
    path = make_zip(tmp_path / "liar.zip", {"a.png": bytes(8_000_000)})
    content = bytearray(path.read_bytes())
    directory = content.rindex(b"PK\x01\x02")
    content[directory + 24:directory + 28] = (1000).to_bytes(4, "little")
    path.write_bytes(content)
    tracemalloc.start()
    one = next(members(path))
    with pytest.raises(DataError, match=r"a\.png: damaged in its archive"):
        one.read()
    assert tracemalloc.get_traced_memory()[1] < 3_000_000
    tracemalloc.stop()


def test_a_tar_header_cannot_fill_the_memory(tmp_path):
    """A long name may claim to be gigabytes long; tarfile would read it whole."""
    entry = tarfile.TarInfo("x")
    entry.type, entry.size = tarfile.GNUTYPE_LONGNAME, 3_000_000_000
    path = tmp_path / "header.tar.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(entry.tobuf(tarfile.GNU_FORMAT))
        for _ in range(20):
            file.write(bytes(1_000_000))
    with pytest.raises(DataError, match=r"header\.tar\.gz: asks for 3,000,000,\d+ bytes at once"):
        read(path)


def test_a_zip_whose_directory_is_enormous_is_refused_before_it_is_read(tmp_path):
    path = make_zip(tmp_path / "wide.zip", {"a.png": b"a"})
    content = bytearray(path.read_bytes())
    end = content.rindex(b"PK\x05\x06")
    content[end + 12:end + 16] = (4_000_000_000).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"wide\.zip: lists more than 200,000 files"):
        read(path)


def test_a_damaged_member_is_named_and_the_rest_is_read(tmp_path):
    path = make_zip(tmp_path / "x.zip", {"bad.png": CONTENT, "good.png": CONTENT}, zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    content[content.index(CONTENT) + 5] ^= 0xFF
    path.write_bytes(content)
    found = members(path)
    with pytest.raises(DataError, match=r"^bad\.png: damaged in its archive: Bad CRC"):
        next(found).read()
    assert next(found).read() == CONTENT


@pytest.mark.parametrize("kind", ["zip", *TAR_KINDS])
def test_a_truncated_archive_is_refused(tmp_path, kind):
    files = {f"{n}.png": bytes(range(256)) * 200 for n in range(10)}
    path = tmp_path / f"cut.{kind}"
    if kind == "zip":
        make_zip(path, files, zipfile.ZIP_STORED)
    else:
        make_tar(path, files, TAR_KINDS[kind])
    path.write_bytes(path.read_bytes()[:path.stat().st_size * 2 // 3])
    with pytest.raises(DataError, match=r"^cut\."):
        read(path)


@pytest.mark.parametrize("content", [b"", b"not an archive at all" * 100, b"\x1f\x8b\x08\0rubbish", b"PK\x03\x04rub",
                                     gzip.compress(b"a text, not a tar" * 100), bz2.compress(b"x" * 5000)],
                         ids=["nothing", "text", "no gzip", "no zip", "a text in gzip", "a text in bzip2"])
def test_what_is_no_archive_is_refused(tmp_path, content):
    path = tmp_path / "photos.zip"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"photos\.zip: neither a zip nor a tar archive, or damaged"):
        read(path)


def test_a_missing_archive_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone\.zip: no such file"):
        read(tmp_path / "gone.zip")


def test_an_archive_is_told_by_its_content(tmp_path):
    assert is_archive(make_zip(tmp_path / "a.bin", {"a": b""}))
    assert is_archive(make_tar(tmp_path / "b.bin", {"a": b""}, "w:gz"))
    for content in (b"", b"\x89PNG", b"\x1f\x8b\x08rubbish", gzip.compress(b"a text" * 200), bytes(2048)):
        (tmp_path / "c.zip").write_bytes(content)
        assert not is_archive(tmp_path / "c.zip")
    assert not is_archive(tmp_path / "nowhere.zip")


def test_a_tar_that_ends_in_a_zip_is_a_tar(tmp_path):
    inner = make_zip(tmp_path / "inner.zip", {"inside.png": b"i"}).read_bytes()
    path = make_tar(tmp_path / "x.tar", {"1.png": b"1", "inner.zip": inner})
    assert read(path) == ({"1.png": b"1"}, {"inner.zip": "an archive inside the archive; unpack it first"})


@pytest.mark.parametrize("kind", ["zip", *TAR_KINDS])
def test_whatever_is_damaged_the_error_is_ours(tmp_path, kind):
    """Bytes of an archive changed at random: some of it may still be read, and nothing else may happen."""
    path, draws = tmp_path / f"x.{kind}", random.Random(0)
    if kind == "zip":
        make_zip(path, FILES, zipfile.ZIP_LZMA)
    else:
        make_tar(path, FILES, TAR_KINDS[kind])
    whole, refused = path.read_bytes(), 0
    for _ in range(60):
        content = bytearray(whole)
        for _ in range(draws.choice((1, 3, 10))):
            content[draws.randrange(len(content))] = draws.randrange(256)
        path.write_bytes(content)
        try:
            read(path)
        except DataError:
            refused += 1
    assert refused > 0
