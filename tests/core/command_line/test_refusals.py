"""Bad input: what is said of it, with which exit code, and that nothing is left behind."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from tests.core.command_line.asking import Digits, refusal, run


def test_it_refuses_to_overwrite_or_to_resume_something_else(
        digits: Digits, names: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    (out / "work").mkdir(parents=True)
    (out / "work" / "request.json").write_text("{}")
    arguments = ("adapt", "--images", digits[0], "--names", names, "--out", out)
    fix = "choose a new folder, or add --resume to go on with its run"
    assert refusal(capsys, *arguments) == (2, f"error: out: {out} is not empty; {fix}\n")
    code, said = refusal(capsys, *arguments, "--resume")
    assert code == 2
    assert "holds a run with other arguments" in said


def test_an_error_is_one_line_for_a_person_and_an_object_for_a_program(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = run("adapt", "--method", "kmeans", "--images", tmp_path / "empty", "--classes", "2", "--json", "--out",
               tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {tmp_path / 'empty'}: no readable image")
    assert done.stderr.count("\n") == 1
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["kind"] == "DataError"
    assert said["exit_code"] == 2
    assert not (tmp_path / "out").exists()


BAD: dict[str, tuple[tuple[str, ...], int, str]] = {
    "unknown method": (("--method", "magic", "--names", "{names}"), 2, "unknown method 'magic'; choose one of zero"),
    "unknown backbone": (("--names", "{names}", "--backbone", "clip-xxl"), 2, "'clip-xxl'; choose one of starter-clip"),
    "unknown space": (("--method", "kmeans", "--classes", "3", "--backbone", "starter-clip,clip-xl"), 2, "'clip-xl'"),
    "backbone without text": (("--names", "{names}", "--backbone", "starter-mae"), 2, "unknown foundation model"),
    "weights that cannot be had": (("--names", "{names}", "--backbone", "clip-vit-b32"), 3,
                                   "weights of clip-vit-b32: not cached"),
    "unknown preset": (("--method", "must", "--names", "{names}", "--preset", "best"), 2, "it has imagenet-b"),
    "unknown setting": (("--names", "{names}", "--set", "depth=3"), 2, "depth: Zero-shot has no such setting"),
    "setting out of range": (("--method", "kmeans", "--classes", "3", "--set", "starts=0"), 2, "starts: 0 is out of"),
    "setting without value": (("--names", "{names}", "--set", "templates"), 2, "'templates' is not NAME=VALUE"),
    "no names": (("--method", "zeroshot"), 2, "Zero-shot needs class names: give --names FILE"),
    "no number": (("--method", "kmeans"), 2, "needs to know how many classes"),
    "more classes than images": (("--method", "kmeans", "--classes", "61"), 2, "61 classes for 60 images"),
    "one class": (("--method", "kmeans", "--classes", "1"), 2, "nothing to tell apart"),
    "one name": (("--names", "{one}"), 2, "one class (zero): nothing to tell apart"),
    "names on one line": (("--names", "{commas}"), 2, "one class (heron,egret,duck): nothing to tell apart; give at "
                          "least two; write one name a line, not separated by commas"),
    "duplicate names": (("--names", "{twice}"), 2, "line 3 ('Zero'): the same name as line 1"),
    "names in another encoding": (("--names", "{latin}"), 2, "not text in UTF-8"),
    "names that are not there": (("--names", "{nowhere}"), 2, "cannot be read: No such file"),
    "held-out of all": (("--names", "{names}", "--held-out", "1.5"), 2, "no share between 0 and 1"),
    "held-out of none": (("--names", "{names}", "--held-out", "0.001"), 2, "0.001 of 60 images holds out 0; choose"),
    "held-out of almost all": (("--names", "{names}", "--held-out", "0.999"), 2, "and leaves two to adapt to"),
    "held-out in another encoding": (("--names", "{names}", "--held-out", "{latin}"), 2, "not text in UTF-8"),
    "a device that is not here": (("--names", "{names}", "--device", "cuda:99"), 2,
                                  "device: cuda:99 is not here; choose auto or one of cpu"),
    "a device that is none": (("--names", "{names}", "--device", "foo"), 2, "device: foo is not here"),
    "labels that a model gave": (("--method", "kmeans", "--names", "{names}", "--labels", "{answered}"), 2,
                                 "is what a model answered: it has a column confidence"),
    "labels of which a person gave none": (("--method", "kmeans", "--names", "{names}", "--labels", "{guessed}"), 2,
                                           "its column source says that a model answered every line"),
    "labels of held-out images alone": (("--method", "kmeans", "--names", "{names}", "--labels", "{apart}",
                                         "--held-out", "{held_out}"), 2, "labels only images that are held out"),
    "held-out of nothing": (("--names", "{names}", "--held-out", "{empty}"), 2, "empty.txt: holds out 0 of 60 images"),
    "held-out of everything": (("--names", "{names}", "--held-out", "{every}"), 2, "every.txt: holds out 60 of 60"),
    "held-out that is not there": (("--names", "{names}", "--held-out", "{nowhere}"), 2, "neither a share"),
    "replay that no method has": (("--names", "{names}", "--replay", "{nowhere}"), 2, "Zero-shot has no replay"),
    "warm-up that no method has": (("--names", "{names}", "--warm-up", "{nowhere}"), 2, "Zero-shot has no warm-up"),
    "names of no warm-up": (("--method", "must", "--names", "{names}", "--warm-up-names", "{names}"), 2,
                            "add --warm-up DIR"),
    "replay without images": (("--method", "finetune", "--classes", "3", "--set", "mode=replay"), 2, "--replay DIR"),
    "further images that no method joins": (("--names", "{names}", "--also", "{nowhere}"), 2,
                                            "Zero-shot adapts to one collection; leave --also out, or choose must"),
    "further images that are not there": (("--method", "must", "--names", "{names}", "--also", "{nowhere}"), 2,
                                          "nowhere.txt: no such folder or archive"),
    "no labels": (("--method", "semimae", "--names", "{names}"), 2, "or give --labels FILE"),
    "a beginning that is none": (("--names", "{names}", "--start-from", "{strange}"), 5, "no model package"),
    "labels of nothing": (("--method", "kmeans", "--names", "{names}", "--labels", "{strange}"), 2,
                          "x.png is not among the images"),
    "labels of no use": (("--names", "{names}", "--labels", "{strange}"), 2,
                         "Zero-shot, with these settings, makes no use of labels; leave --labels out"),
}


@pytest.mark.parametrize("case", BAD)
def test_it_says_what_is_wrong_and_leaves_nothing_behind(
        case: str, digits: Digits, names: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {name: tmp_path / f"{name}.txt" for name in ("one", "twice", "latin", "strange", "nowhere", "answered",
                                                         "guessed", "apart", "held_out", "empty", "every", "commas")}
    files["empty"].touch()
    files["every"].write_text("".join(f"{path.name}\n" for path in sorted(digits[0].iterdir())))
    files["one"].write_text("zero\n")
    files["commas"].write_text("heron,egret,duck\n")
    files["twice"].write_text("zero\none\nZero\n")
    files["latin"].write_bytes("Bär\nFüchse\n".encode("latin-1"))
    files["strange"].write_text("path,label\nx.png,zero\n")
    files["answered"].write_text("path,label,confidence\ndigit-0000.png,zero,0.9\n")
    files["guessed"].write_text("path,label,source,confidence\ndigit-0000.png,zero,model,0.9\n")
    files["apart"].write_text("path,label\ndigit-0000.png,zero\n")
    files["held_out"].write_text("digit-0000.png\n")
    arguments, expected, words = BAD[case]
    filled = [one.format(names=names, **files) for one in arguments]
    code, said = refusal(capsys, "adapt", "--images", digits[0], "--out", tmp_path / "out", *filled)
    assert code == expected, said
    assert words in said
    assert not (tmp_path / "out" / "labels.csv").exists()
    if expected in (2, 3):
        assert not (tmp_path / "out").exists()


def test_one_image_is_too_few(digits: Digits, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "images").mkdir()
    shutil.copy(digits[0] / "digit-0000.png", tmp_path / "images")
    code, said = refusal(capsys, "adapt", "--method", "kmeans", "--classes", "2", "--images", tmp_path / "images",
                         "--out", tmp_path / "out")
    assert code == 2
    assert "1 readable image(s); at least 2 are needed" in said


def test_an_archive_that_points_outside_itself_is_read_without_that_file(
        digits: Digits, names: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for number in range(12):
            archive.write(digits[0] / f"digit-{number:04d}.png", f"inner/{number}.png")
        archive.write(digits[0] / "digit-0000.png", "../../evil.png")
        archive.writestr("note.txt", "hello")
    code, said = refusal(capsys, "adapt", "--images", tmp_path / "images.zip", "--names", names, "--set",
                         "templates=one", "--out", tmp_path / "out")
    assert code == 0, said
    assert "left out ../../evil.png: points outside its archive" in said
    assert "left out note.txt: not an image" in said
    assert json.loads((tmp_path / "out" / "result.json").read_text())["refused"] == 2
    assert not list(tmp_path.rglob("evil.png"))
    assert not (tmp_path.parent / "evil.png").exists()


def test_a_zip_bomb_is_refused(names: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(4):
            archive.writestr(f"{number}.png", bytes(50_000_000))
    arguments = ("adapt", "--images", tmp_path / "bomb.zip", "--names", names, "--out", tmp_path / "out")
    code, said = refusal(capsys, *arguments)
    assert code == 2
    assert "bomb.zip" in said
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_named(digits: Digits, names: Path, tmp_path: Path,
                                                  capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    code, said = refusal(capsys, "adapt", "--images", digits[0], "--names", names, "--out", tmp_path / "file" / "out")
    assert code == 5
    assert str(tmp_path / "file") in said


def test_a_model_that_is_none_is_refused(digits: Digits, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("predict", "--model", tmp_path, "--images", digits[0], "--out", tmp_path / "labels.csv")
    code, said = refusal(capsys, *arguments)
    assert code == 5
    assert "not a saved classifier" in said
