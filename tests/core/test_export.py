"""A package answers as its classifier does, elsewhere and without us; its card claims nothing unmeasured."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import zipfile
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from core.backbones.load import load_backbone
from core.card import Card
from core.classifier import Classifier, Member
from core.data.images import ImageSet, open_images
from core.errors import CheckpointError
from core.evaluation.result import Result
from core.export import unpacked, write_package

FILES = {"model.safetensors", "settings.json", "class_names.txt", "preprocessing.json", "CARD.md", "predict.py",
         "requirements.txt"}


def head(name: str, classes: int, normalise: bool, scale: float, bias: bool) -> Member:
    """A backbone with a head drawn at random."""
    backbone, generator = load_backbone(name), torch.Generator().manual_seed(3)
    return Member(backbone=backbone, weight=torch.randn(backbone.width, classes, generator=generator),
                  bias=torch.randn(classes, generator=generator) if bias else None, normalise=normalise, scale=scale)


def classifier(kind: str) -> Classifier:
    """One classifier of each form that a method returns."""
    text, image = "starter-clip", "starter-mae"
    members = {
        "zero-shot": (head(text, 10, True, 10.0, False),),
        "one space": (head(image, 10, False, 1.0, True),),
        "two spaces": (head(text, 10, False, 1.0, True), head(image, 10, False, 1.0, True)),
        "k-means": (head(text, 10, True, 2.0, True), head(image, 10, True, 2.0, False)),
    }[kind]
    return Classifier(members=members, class_names=tuple(f"name {number}, or “so”" for number in range(10)),
                      method="turtle", settings={"spaces": text},
                      combination="sum_of_logits" if kind == "k-means" else "mean_of_softmax")


def card(class_names: tuple[str, ...], measured: dict[str, float] | None = None) -> Card:
    result = Result(label_free_score=0.5, classes_found=9, num_classes=10, class_names=class_names,
                    histogram=tuple(range(10)), confidence_histogram=(0,) * 20, seconds=3.0, measured=measured)
    return Card(method="turtle", settings={"spaces": "starter-clip"}, backbones=("starter-clip",), num_images=60,
                result=result, created=date(2026, 11, 20), source="digits")


def run_alone(package: Path, folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Unpack a package elsewhere and run its program with this Python, isolated from the repository."""
    with zipfile.ZipFile(package) as archive:
        archive.extractall(folder)
    environment = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME"}}
    return subprocess.run([sys.executable, "-I", folder / "predict.py", *arguments], cwd=folder, env=environment,
                          capture_output=True, text=True, check=False)


@pytest.mark.usefixtures("starters")
@pytest.mark.parametrize("kind", ["zero-shot", "one space", "two spaces", "k-means"])
def test_the_program_in_the_package_answers_as_the_classifier_does(
        kind: str, digit_images: ImageSet, digits: tuple[Path, list[int]], tmp_path: Path) -> None:
    made = classifier(kind)
    write_package(made, tmp_path / "package.zip", card(made.class_names))
    done = run_alone(tmp_path / "package.zip", tmp_path / "alone", digits[0], "--json", "--out", "labels.csv")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    expected = made.predict(digit_images)
    assert [line["path"] for line in lines] == list(digit_images.names)
    assert [line["label"] for line in lines] == [made.class_names[label] for label in expected.labels]
    found = torch.tensor([list(line["probabilities"].values()) for line in lines])
    torch.testing.assert_close(found, expected.probabilities, rtol=0, atol=1e-6)
    with (tmp_path / "alone" / "labels.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [float(row["margin"]) for row in rows] == pytest.approx(expected.margin.tolist(), abs=2e-6)


@pytest.mark.usefixtures("starters")
def test_the_program_decodes_as_we_do(tmp_path: Path) -> None:
    folder = tmp_path / "images" / "inner"
    folder.mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 255, (40, 90, 3), dtype=np.uint8)
    rotated = Image.Exif()
    rotated[0x0112] = 6
    Image.fromarray(pixels).save(folder / "rotated.jpg", exif=rotated)
    Image.fromarray(pixels).convert("CMYK").save(folder / "press.jpg")
    Image.fromarray(pixels[..., 0].astype(np.uint16) * 200).save(folder / "deep.png")
    Image.fromarray(np.dstack([pixels, pixels[..., :1]])).save(folder / "alpha.png")
    Image.fromarray(pixels).quantize(16).save(folder / "palette.png", transparency=3)
    Image.fromarray(pixels).save(folder / "moving.gif", save_all=True, append_images=[Image.fromarray(255 - pixels)])
    (folder / "broken.jpg").write_bytes((folder / "rotated.jpg").read_bytes()[:600])
    made = classifier("zero-shot")
    write_package(made, tmp_path / "package.zip", card(made.class_names))
    done = run_alone(tmp_path / "package.zip", tmp_path / "alone", tmp_path / "images", "--json")
    assert done.returncode == 0, done.stderr
    assert "left out inner/broken.jpg" in done.stderr
    images, refused = open_images(tmp_path / "images", tmp_path)
    assert [one.name for one in refused] == ["inner/broken.jpg"]
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["path"] for line in lines] == list(images.names)
    found = torch.tensor([list(line["probabilities"].values()) for line in lines])
    torch.testing.assert_close(found, made.predict(images).probabilities, rtol=0, atol=1e-6)


@pytest.mark.usefixtures("starters")
def test_the_program_says_when_nothing_can_be_read(tmp_path: Path) -> None:
    made = classifier("zero-shot")
    write_package(made, tmp_path / "package.zip", card(made.class_names))
    (tmp_path / "empty.png").touch()
    done = run_alone(tmp_path / "package.zip", tmp_path / "alone", tmp_path / "empty.png")
    assert done.returncode == 2
    assert "no readable image" in done.stderr


@pytest.mark.usefixtures("starters")
def test_a_package_holds_its_files_and_loads_again(digit_images: ImageSet, tmp_path: Path) -> None:
    made = classifier("two spaces")
    write_package(made, tmp_path / "package.zip", card(made.class_names), tmp_path / "model")
    with zipfile.ZipFile(tmp_path / "package.zip") as archive:
        assert set(archive.namelist()) == FILES
        assert archive.read("class_names.txt").decode().splitlines() == list(made.class_names)
        assert "torch==" in archive.read("requirements.txt").decode()
        assert "+cpu" not in archive.read("requirements.txt").decode()
    assert {file.name for file in (tmp_path / "model").iterdir()} == FILES
    assert {file.name for file in tmp_path.iterdir()} >= {"package.zip", "model"}
    assert not [file for file in tmp_path.iterdir() if file.name.startswith(".package") or file.suffix == ".part"]
    for given in (tmp_path / "package.zip", tmp_path / "model", tmp_path):
        again = Classifier.load(unpacked(given, tmp_path / "again"))
        torch.testing.assert_close(again.predict(digit_images).probabilities, made.predict(digit_images).probabilities)


@pytest.mark.usefixtures("starters")
def test_the_same_classifier_makes_the_same_bytes(tmp_path: Path) -> None:
    made = classifier("zero-shot")
    for name in ("one.zip", "two.zip"):
        write_package(made, tmp_path / name, card(made.class_names))
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


@pytest.mark.usefixtures("starters")
def test_a_package_that_cannot_be_written_can_be_tried_again(tmp_path: Path) -> None:
    made = classifier("zero-shot")
    with pytest.raises(CheckpointError, match="free some space and try again") as caught:
        write_package(made, tmp_path / "no-such-folder" / "package.zip", card(made.class_names))
    assert caught.value.retryable


@pytest.mark.usefixtures("starters")
def test_a_disk_that_fills_leaves_the_earlier_package(tmp_path: Path) -> None:
    made = classifier("zero-shot")
    folder = tmp_path / "out"
    folder.mkdir()
    write_package(made, folder / "package.zip", card(made.class_names))
    before = (folder / "package.zip").read_bytes()
    program = ("import resource, sys; from pathlib import Path; from tests.core.test_export import classifier, card;"
               "from core.export import write_package; made = classifier('two spaces');"
               "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
               "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000));"
               "write_package(made, Path(sys.argv[1]), card(made.class_names))")
    done = subprocess.run([sys.executable, "-c", program, folder / "package.zip"], capture_output=True, text=True,
                          cwd=Path(__file__).parents[2], check=False)
    assert "CheckpointError" in done.stderr
    assert "free some space" in done.stderr
    assert (folder / "package.zip").read_bytes() == before
    assert [file.name for file in folder.iterdir()] == ["package.zip"]


def test_a_zip_of_something_else_is_refused_by_name(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "holiday.zip", "w") as archive:
        archive.writestr("beach.jpg", b"")
    (tmp_path / "note.txt").write_text("hello")
    for name in ("holiday.zip", "note.txt"):
        with pytest.raises(CheckpointError, match=f"{name}.*no model package"):
            unpacked(tmp_path / name, tmp_path / "into")


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("settings.json", b" " * 50_000_000)
        archive.writestr("model.safetensors", b"")
    with pytest.raises(CheckpointError, match="a bomb"):
        unpacked(tmp_path / "bomb.zip", tmp_path / "into")
    assert not list((tmp_path / "into").iterdir())


def test_a_card_says_accuracy_only_where_it_was_measured() -> None:
    names = tuple("abcdefghij")
    silent = card(names).markdown()
    assert "No figure was measured on true labels" in silent
    assert [line for line in silent.lower().splitlines() if "accuracy" in line] == [
        line for line in silent.lower().splitlines() if "it is not an accuracy" in line]
    assert "Measured accuracy: 0.812" in card(names, {"accuracy": 0.8125}).markdown()


def test_a_card_keeps_hostile_names_in_their_cells() -> None:
    said = card(("a|b", "two\nlines", *"cdefghij")).markdown()
    assert "| a\\|b | 0 |" in said
    assert "| two lines | 1 |" in said
