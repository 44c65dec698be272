"""The program in a package answers the files that we answer, leaves out the others by name, and loses no answer."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
import torch
from PIL import Image

from core.data.images import open_images
from core.export import write_package
from tests.core.test_export import card, classifier, run_alone

pytestmark = pytest.mark.usefixtures("starters")


@pytest.fixture
def package(starters: Path, tmp_path: Path) -> Path:
    """Return the package of a zero-shot classifier."""
    made = classifier("zero-shot")
    write_package(made, tmp_path / "package.zip", card(made.class_names))
    return tmp_path / "package.zip"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of two small pictures, a.png and b.png."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number, name in enumerate(("a.png", "b.png")):
        picture(number).save(folder / name)
    return folder


def picture(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (40, 50, 3), dtype=np.uint8))


def paths_in(labels: Path) -> list[str]:
    with labels.open(encoding="utf-8", newline="") as stream:
        return [row["path"] for row in csv.DictReader(stream)]


def test_a_picture_beyond_every_limit_is_left_out_by_name(package: Path, folder: Path, tmp_path: Path) -> None:
    Image.new("1", (14_000, 14_000)).save(folder / "huge.png")
    Image.new("1", (10_000, 10_000)).save(folder / "large.png")
    done = run_alone(package, tmp_path / "alone", folder, "--out", tmp_path / "labels.csv")
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == [
        f"left out {name}: more than 89,478,485 pixels; make it smaller first" for name in ("huge.png", "large.png")]
    assert paths_in(tmp_path / "labels.csv") == ["a.png", "b.png"]


def test_large_pictures_do_not_wait_in_memory(package: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for number in range(10):
        Image.new("RGB", (4000, 3000), (number, 2, 3)).save(folder / f"{number}.png", compress_level=1)
    with zipfile.ZipFile(package) as archive:
        archive.extractall(tmp_path / "alone")
    peak_bytes = []
    for given in ([folder / "0.png"], [folder]):
        process = subprocess.Popen([sys.executable, "-I", tmp_path / "alone" / "predict.py", *given],
                                   stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        peak_bytes.append(usage.ru_maxrss * 1024)
    assert peak_bytes[1] - peak_bytes[0] < 4 * 4000 * 3000 * 6  # of ten pictures, 4 bytes a pixel


def test_the_file_of_answers_is_whole_and_its_folder_made(package: Path, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "no" / "such" / "labels.csv"
    done = run_alone(package, tmp_path / "alone", folder, "--out", out)
    assert done.returncode == 0, done.stderr
    assert paths_in(out) == ["a.png", "b.png"]
    assert [file.name for file in out.parent.iterdir()] == ["labels.csv"]


@pytest.mark.parametrize("place", ["images/a.png/labels.csv", "images"])
def test_a_file_of_answers_that_cannot_be_written_is_refused_first(
        place: str, package: Path, folder: Path, tmp_path: Path) -> None:
    done = run_alone(package, tmp_path / "alone", folder, "--json", "--out", tmp_path / place)
    assert done.returncode == 2
    assert done.stdout == ""
    assert f"argument --out: “{tmp_path / place}”: " in done.stderr
    assert "name another file" in done.stderr


def test_a_disk_that_fills_leaves_the_earlier_answers(package: Path, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "labels.csv"
    out.write_text("earlier")
    with zipfile.ZipFile(package) as archive:
        archive.extractall(tmp_path / "alone")
    program = ("import resource, runpy, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
               "resource.setrlimit(resource.RLIMIT_FSIZE, (40, 40)); sys.argv = sys.argv[1:];"
               "runpy.run_path(sys.argv[0], run_name='__main__')")
    done = subprocess.run([sys.executable, "-I", "-B", "-c", program, tmp_path / "alone" / "predict.py", folder,
                           "--out", out], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        f"{out} was not written: File too large; free some space and try again")
    assert out.read_text() == "earlier"
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("device", ["foo", "meta", "hpu", "cuda:99"])
def test_a_device_that_is_not_there_is_named(device: str, package: Path, folder: Path, tmp_path: Path) -> None:
    done = run_alone(package, tmp_path / "alone", folder, "--device", device)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith(f"argument --device: no device “{device}” here; “cpu” always works")
    assert "Traceback" not in done.stderr


def test_of_a_folder_the_same_files_are_answered_as_by_us(package: Path, folder: Path, tmp_path: Path) -> None:
    for number, name in enumerate(("noext", "photo.JPG.bak", "tabend.png ", "B/z.png", "B.png", "B-1/y.png",
                                   "__MACOSX/x.png", "Thumbs.db", ".hidden.png", ".cache/x.png", "@eaDir/x.png")):
        (folder / name).parent.mkdir(exist_ok=True)
        picture(number).save(folder / name, format="PNG")
    picture(20).save(folder / "camera.dng", format="TIFF", tiffinfo={50706: b"\1\4\0\0"})
    picture(21).save(folder / "drawing.eps")
    picture(22).save(folder / "icon.ico")
    picture(23).resize((40, 1)).save(folder / "line.png")
    Image.fromarray(np.full((9, 9), np.nan, np.float32)).save(folder / "nan.tif")
    pillow_heif.from_pillow(picture(24)).save(folder / "telephone", format="HEIF")
    pillow_heif.from_pillow(picture(25)).save(folder / "telephone.jpg", format="HEIF")
    deep = np.random.default_rng(26).integers(0, 65535, (40, 50), dtype=np.uint16)
    Image.fromarray(deep).save(folder / "white is zero.tif", tiffinfo={262: 0})
    Image.fromarray(deep // 16).save(folder / "twelve bits.tif")
    (tmp_path / "elsewhere").mkdir()
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "empty.png").touch()
    (folder / "notes.txt").write_text("these are notes")
    (folder / "link.png").symlink_to("nothing")
    os.mkfifo(folder / "pipe.png")
    done = run_alone(package, tmp_path / "alone", folder, "--json")
    assert done.returncode == 0, done.stderr
    images, refused = open_images(folder, tmp_path / "unpacked")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {"noext", "photo.JPG.bak", "tabend.png ", "telephone", "twelve bits.tif",
            "white is zero.tif"} <= set(images.names)
    assert [line["path"] for line in lines] == list(images.names)
    found = torch.tensor([list(line["probabilities"].values()) for line in lines])
    torch.testing.assert_close(found, classifier("zero-shot").predict(images).probabilities, rtol=0, atol=1e-6)
    assert {line.split(": ")[0] for line in done.stderr.splitlines()} == {f"left out {one.name}" for one in refused}
    assert "left out notes.txt: damaged or not an image; JPEG, PNG, " in done.stderr
    assert "left out empty.png: empty file" in done.stderr
    assert "left out pipe.png: a link to nothing or a special file" in done.stderr


def test_a_path_with_a_carriage_return_is_read_back_as_it_was(package: Path, folder: Path, tmp_path: Path) -> None:
    (folder / "a.png").rename(folder / "car\rret.png")
    done = run_alone(package, tmp_path / "alone", folder, "--out", tmp_path / "labels.csv")
    assert done.returncode == 0, done.stderr
    assert paths_in(tmp_path / "labels.csv") == ["b.png", "car\rret.png"]


def test_a_name_that_is_not_utf_8_costs_no_other_answer(package: Path, folder: Path, tmp_path: Path) -> None:
    (folder / os.fsdecode(b"caf\xe9.png")).write_bytes((folder / "a.png").read_bytes())
    done = run_alone(package, tmp_path / "alone", folder, "--out", tmp_path / "labels.csv")
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == ["left out caf\\udce9.png: its name is not UTF-8; rename it"]
    assert paths_in(tmp_path / "labels.csv") == ["a.png", "b.png"]
