"""Archives that are sent: their members' names, bombs, cut-off ends, and one bad file among good ones."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile

import pytest

from tests.webapp.collections.pictures import pixels, png, saved, zipped
from webapp.collections import storage
from webapp.collections.models import Image, Refusal


def test_names_of_any_bytes_are_stored(brought):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT, encoding="latin-1") as archive:
        for name in ("caf\u00e9.png", "caf\u00e9.txt"):
            entry = tarfile.TarInfo(name)
            entry.size = len(png(1))
            archive.addfile(entry, io.BytesIO(png(1) if name.endswith("png") else bytes(len(png(1)))))
    brought("trip.tar", out.getvalue())
    assert Image.objects.get().path == "caf\ufffd.png"
    assert Refusal.objects.get().path == "caf\ufffd.txt"


def test_one_bad_file_does_not_stop_an_archive(brought):
    upload = brought("trip.zip", zipped({
        "a.png": png(1), "sub/broken.jpg": saved(pixels(side=200), "JPEG")[:2000], "__MACOSX/._a.png": b"x",
        ".DS_Store": b"x", "b.png": png(2), "labels.csv": b"a,b"}))
    assert list(Image.objects.values_list("number", "path")) == [(0, "a.png"), (1, "b.png")]
    refused = Refusal.objects.filter(left_out=False)
    assert set(refused.values_list("path", flat=True)) == {"sub/broken.jpg", "labels.csv"}
    assert (upload.status, upload.message) == ("done", "2 hidden files of the operating system left out.")


def test_it_reads_tar_archives(brought):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for number in range(3):
            entry = tarfile.TarInfo(f"{number}.png")
            entry.size = len(png(number))
            archive.addfile(entry, io.BytesIO(png(number)))
    brought("trip.tar.gz", out.getvalue())
    assert Image.objects.count() == 3


def test_a_member_that_points_outside_is_refused_and_written_nowhere(brought, home):
    brought("evil.zip", zipped({"../../evil.png": png(1), "/abs.png": png(2), "good.png": png(3)}))
    assert list(Image.objects.values_list("path", flat=True)) == ["good.png"]
    assert set(Refusal.objects.values_list("path", flat=True)) == {"../../evil.png", "/abs.png"}
    assert not list(home.parent.rglob("evil.png"))


def test_a_zip_bomb_is_refused_whole(brought):
    bomb = zipped({f"{number}.png": bytes(60_000_000) for number in range(3)}, zipfile.ZIP_DEFLATED)
    upload = brought("bomb.zip", bomb)
    assert upload.status == "refused"
    assert "times its size" in upload.message
    assert not Image.objects.exists()
    assert not storage.upload_file(upload.pk).exists()


def test_a_tar_bomb_is_refused_too(brought):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for number in range(3):
            entry = tarfile.TarInfo(f"{number}.png")
            entry.size = 60_000_000
            archive.addfile(entry, io.BytesIO(bytes(entry.size)))
    upload = brought("bomb.tar.gz", gzip.compress(out.getvalue(), 6))
    assert upload.status == "refused"
    assert "times its size" in upload.message


@pytest.mark.parametrize("ending", [0.5, 0.9])
def test_a_cut_off_archive_is_refused_in_words(brought, ending):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for number in range(4):
            content = saved(pixels(number, 120))
            entry = tarfile.TarInfo(f"{number}.png")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    upload = brought("cut.tar.gz", out.getvalue()[:int(len(out.getvalue()) * ending)])
    assert upload.status == "refused"
    assert "kept" in Refusal.objects.get(path="cut.tar.gz").reason or not Image.objects.exists()


def test_an_empty_archive_says_so(brought):
    assert "there is no file in it" in brought("empty.zip", zipped({})).message


def test_the_same_name_in_two_folders_is_two_images(brought):
    brought("x.zip", zipped({"one/a.png": png(1), "two/a.png": png(2)}))
    assert set(Image.objects.values_list("path", flat=True)) == {"one/a.png", "two/a.png"}
