"""The command line on real digits: what it writes, and what it says of bad input."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import json
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from core.__main__ import main
from core.evaluation import estimate, guard

ROOT = Path(__file__).parents[2]
Digits = tuple[Path, list[int]]


@pytest.fixture(autouse=True)
def _random_starters(starters: Path) -> None:
    """Let every command find the random starters."""


@pytest.fixture
def names(tmp_path: Path, digit_names: tuple[str, ...]) -> Path:
    """Write the class names."""
    file = tmp_path / "names.txt"
    file.write_text("\n".join(digit_names), encoding="utf-8")
    return file


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "core", *map(str, arguments)]


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    return subprocess.run(command(*arguments), cwd=ROOT, capture_output=True, text=True, check=False)


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str]:
    """Run the command here; return its exit code and what it said on stderr."""
    code = main([str(one) for one in arguments])
    return code, capsys.readouterr().err


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_names_in_labels_and_a_model_out(digits: Digits, names: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run("adapt", "--images", digits[0], "--names", names, "--set", "templates=one", "--held-out", "0.2",
               "--json", "--out", out)
    assert done.returncode == 0, done.stderr
    written = {"package.zip", "model", "labels.csv", "result.json", "held_out.txt"}
    assert {file.name for file in out.iterdir()} == written
    labels = rows(out / "labels.csv")
    assert list(labels[0]) == ["path", "label", "confidence", "margin"]
    assert [row["path"] for row in labels] == sorted(path.name for path in digits[0].iterdir())
    assert {row["label"] for row in labels} <= set(names.read_text().split())
    assert len((out / "held_out.txt").read_text().split()) == 12
    result = json.loads((out / "result.json").read_text())
    assert sum(result["histogram"]) == sum(result["confidence_histogram"]) == 60
    assert result["measured"] is None
    assert 100 * 1024**2 < result["peak_memory_bytes"] < 4 * 1024**3, "torch alone takes more than 100 MiB"
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert {"progress", "result"} <= {event["event"] for event in events}
    assert all(event["step"] <= event["total"] for event in events if event["event"] == "progress")

    again = run("predict", "--model", out / "package.zip", "--images", digits[0], "--out", tmp_path / "again.csv")
    assert again.returncode == 0, again.stderr
    assert [row["label"] for row in rows(tmp_path / "again.csv")] == [row["label"] for row in labels]


def test_a_number_of_classes_is_enough(digits: Digits, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = shutil.make_archive(str(tmp_path / "digits"), "zip", digits[0])
    out = tmp_path / "out"
    done = run("adapt", "--method", "kmeans", "--images", archive, "--classes", "10", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "classes found" in done.stdout
    assert {row["label"] for row in rows(out / "labels.csv")} <= {f"cluster {number}" for number in range(1, 11)}
    truth = tmp_path / "truth.csv"
    lines = [f"digit-{index:04d}.png,{label}" for index, label in enumerate(digits[1])]
    truth.write_text("\n".join(["path,label", *lines]))
    assert main(["evaluate", "--labels", str(out / "labels.csv"), "--truth", str(truth), "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert measured["images"] == 60
    assert 0 < measured["hungarian_accuracy"] <= 1
    assert "accuracy" not in measured
    (picture,) = json.loads((out / "result.json").read_text())["pictures"]
    assert picture["name"] == "typical" and len(picture["rows"]) == 10
    assert [file.name for file in (out / "pictures").iterdir()] == ["typical.png"]
    assert "typical.png" not in zipfile.ZipFile(out / "package.zip").namelist(), "a person's images stay at home"


def test_evaluation_compares_names_and_can_keep_to_what_was_held_out(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels, truth, only = (tmp_path / name for name in ("labels.csv", "truth.csv", "only.txt"))
    labels.write_text("path,label,confidence,margin\na,cat,1,1\nb,cat,1,1\nc,dog,1,1\nd,dog,1,1\n")
    truth.write_text("label,path\ncat,a\ndog,b\ndog,c\n")
    only.write_text("a\nc\n")
    assert main(["evaluate", "--labels", str(labels), "--truth", str(truth), "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert measured["images"] == 3
    assert measured["accuracy"] == pytest.approx(2 / 3)
    assert measured["mean_per_class"] == pytest.approx(0.75)
    main(["evaluate", "--labels", str(labels), "--truth", str(truth), "--only", str(only), "--json"])
    assert json.loads(capsys.readouterr().out)["accuracy"] == 1.0


def test_ctrl_c_stops_with_130_and_resume_goes_on(digits: Digits, names: Path, tmp_path: Path) -> None:
    arguments = ("adapt", "--images", digits[0], "--names", names, "--json", "--out", tmp_path / "out")
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command(*arguments), cwd=ROOT, text=True, **piped) as busy:
        assert busy.stdout is not None
        assert json.loads(busy.stdout.readline())["event"] == "progress"
        busy.send_signal(signal.SIGINT)
        output, errors = busy.communicate(timeout=60)
    assert busy.returncode == 130
    assert errors == "error: cancelled\n"
    assert json.loads(output.splitlines()[-1])["exit_code"] == 130
    assert main([str(one) for one in (*arguments, "--resume")]) == 0
    assert (tmp_path / "out" / "package.zip").exists()


def test_labels_are_learnt_and_a_run_begins_with_an_earlier_model(
        digits: Digits, names: Path, tmp_path: Path, digit_names: tuple[str, ...],
        capsys: pytest.CaptureFixture[str]) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("path,label\n" + "".join(
        f"digit-{index:04d}.png,{digit_names[digits[1][index]]}\n" for index in range(15)))
    asked = ("adapt", "--images", digits[0], "--names", names, "--method", "semimae", "--labels", labels,
             "--set", "epochs=0.3", "--set", "warming_epochs=0", "--set", "batch_size=16", "--set", "mirror=false")
    assert main([*map(str, asked), "--out", str(tmp_path / "first")]) == 0
    assert main([*map(str, asked), "--out", str(tmp_path / "second"), "--start-from", str(tmp_path / "first")]) == 0
    said = json.loads((tmp_path / "second" / "model" / "settings.json").read_text())["settings"]
    assert said["labelled_images"] == 15
    result = json.loads((tmp_path / "first" / "result.json").read_text())
    assert result["taught"] == [f"digit-{index:04d}.png" for index in range(15)]
    assert (result["baseline"]["method"], result["estimated"]) == ("zeroshot", None)
    assert said["start_from"] == str(tmp_path / "first")
    weights = (tmp_path / "first" / "model" / "model.safetensors").read_bytes()
    assert said["start_sha256"] == hashlib.sha256(weights).hexdigest()
    card = (tmp_path / "second" / "model" / "CARD.md").read_text()
    assert "15 of them labelled by a person" in card
    assert f"Begun with the encoder of an adapted model: {tmp_path / 'first'}" in card
    capsys.readouterr()
    code, words = refusal(capsys, "adapt", "--images", digits[0], "--names", names, "--start-from", tmp_path / "first",
                          "--out", tmp_path / "third")
    assert code == 2
    assert "holds an adapted starter-mae, the settings ask for starter-clip" in words
    assert not (tmp_path / "third").exists()


def test_where_names_drift_the_terminal_and_the_card_say_that_zero_shot_was_kept(
        digits: Digits, names: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = ("templates=one", "epochs=1", "batch_size=20", "base_learning_rate=0.1", "least_kept=1")
    code, said = refusal(capsys, "adapt", "--images", digits[0], "--names", names, "--method", "must",
                         *(part for one in settings for part in ("--set", one)), "--out", tmp_path / "out")
    assert code == 0, said
    (note,) = json.loads((tmp_path / "out" / "result.json").read_text())["notes"]
    assert note.startswith("Zero-shot was kept. MUST adapted the model, but then only ")
    assert note in said
    assert f"\n- {note}\n" in (tmp_path / "out" / "model" / "CARD.md").read_text()


QUICK_MUST = ("--method", "must", *(part for one in ("templates=one", "epochs=1", "batch_size=20", "mirror=no")
                                    for part in ("--set", one)))


def events_of(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> list[dict[str, object]]:
    """Run the command here with --json, which must succeed; return its events."""
    capsys.readouterr()
    assert main([*map(str, arguments), "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_baseline_answers_too_and_the_result_is_held_against_it(
        digits: Digits, names: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, alone = tmp_path / "out", tmp_path / "alone"
    said = events_of(capsys, "adapt", "--images", digits[0], "--names", names, *QUICK_MUST, "--out", out)[-1]
    events_of(capsys, "adapt", "--images", digits[0], "--names", names, "--set", "templates=one", "--out", alone)
    ours, first, zero_shot = (rows(file) for file in (out / "labels.csv", out / "baseline.csv", alone / "labels.csv"))
    assert [row["label"] for row in first] == [row["label"] for row in zero_shot]
    result, by_itself = (json.loads((folder / "result.json").read_text()) for folder in (out, alone))
    baseline = result["baseline"]
    assert baseline["method"] == said["baseline"] == "zeroshot"
    assert baseline["agreement"] == said["agreement_with_baseline"] == pytest.approx(
        sum(one["label"] == two["label"] for one, two in zip(ours, first, strict=True)) / 60)
    assert (baseline["histogram"], baseline["label_free_score"]) == (
        by_itself["histogram"], by_itself["label_free_score"])
    confirmed = by_itself["signals"]["group_agreement"]
    assert baseline["group_agreement"] == confirmed
    expected = guard.objection(result["histogram"], baseline["histogram"], confirmed)
    assert result["objection"] == said.get("objection", "") == str(expected or "")
    calibration = estimate.read()["names"]
    for found in (result, by_itself):  # of both: a baseline is confirmed by its own groups
        shown = found["signals"] | {"baseline_group_agreement": confirmed}
        expected_accuracy = calibration.estimate(shown)
        assert expected_accuracy is not None
        assert found["estimated"] == pytest.approx(dataclasses.asdict(expected_accuracy))
    assert said["estimated_accuracy"] == result["estimated"]
    assert by_itself["baseline"] is None and by_itself["objection"] == ""


def test_where_no_names_are_read_k_means_is_the_baseline(
        digits: Digits, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("adapt", "--images", digits[0], "--method", "turtle", "--set", "steps=20")
    said = events_of(capsys, *asked, "--classes", "10", "--out", tmp_path / "out")[-1]
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert (said["baseline"], result["baseline"]["method"]) == ("kmeans", "kmeans")
    groups = estimate.read().get("groups")
    assert (result["estimated"] is not None) == (groups is not None and groups.holds), "shown where it holds alone"
    assert {row["label"] for row in rows(tmp_path / "out" / "baseline.csv")} <= {f"cluster {one}" for one in range(11)}
    assert {one["name"] for one in result["pictures"]} == {
        file.stem for file in (tmp_path / "out" / "pictures").iterdir()}, "the baseline's pictures are not kept"
    said = events_of(capsys, *asked, "--classes", "10", "--no-baseline", "--out", tmp_path / "alone")[-1]
    assert "baseline" not in said and "agreement_with_baseline" not in said
    assert not (tmp_path / "alone" / "baseline.csv").exists()
    kept = [rows(tmp_path / folder / "labels.csv") for folder in ("out", "alone")]
    assert kept[0] == kept[1], "the baseline changes nothing of the answers"


def test_a_larger_collection_is_warmed_up_on_by_its_own_names(
        digits: Digits, names: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    larger = tmp_path / "letters.txt"
    larger.write_text("letter a\nletter b\nletter c\n")
    asked = ("adapt", "--images", digits[0], "--names", names, *QUICK_MUST, "--warm-up", digits[0], "--no-baseline",
             *(part for one in ("warm_up_epochs=1", "least_kept=0", "least_used=0") for part in ("--set", one)))
    events_of(capsys, *asked, "--warm-up-names", larger, "--out", tmp_path / "own")
    events_of(capsys, *asked, "--out", tmp_path / "same")
    weights = [(tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("own", "same")]
    assert weights[0] != weights[1]
    assert set(json.loads((tmp_path / "own" / "result.json").read_text())["class_names"]) == set(
        names.read_text().split())


def test_further_images_are_learnt_from_and_not_answered(
        digits: Digits, names: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = sorted(digits[0].iterdir())
    folders = {name: tmp_path / name for name in ("own", "sketches", "signs")}
    for name, part in (("own", paths[:30]), ("sketches", paths[25:45]), ("signs", paths[40:])):
        folders[name].mkdir()
        for path in part:  # five of the sketches are copies of one's own, five of the signs of the sketches
            shutil.copy(path, folders[name] / f"{name}-{path.name}")
    archive = shutil.make_archive(str(tmp_path / "signs"), "zip", folders["signs"])
    (folders["sketches"] / "note.txt").write_text("no image")
    settings = ("templates=one", "epochs=1", "batch_size=20", "mirror=no")
    asked = ("adapt", "--method", "must", "--images", folders["own"], "--names", names,
             *(part for one in settings for part in ("--set", one)), "--also", folders["sketches"])
    code, said = refusal(capsys, *asked, "--also", archive, "--held-out", "0.2", "--out", tmp_path / "out")
    assert code == 0, said
    assert f"left out note.txt of {folders['sketches']}: not an image" in said
    assert "chosen for 60 images" in said
    labels = rows(tmp_path / "out" / "labels.csv")
    assert [row["path"] for row in labels] == [f"own-{path.name}" for path in paths[:30]]
    model = tmp_path / "out" / "model"
    assert "- Images: 24 (own) and 30 of 2 further collections with the same names, without" in (
        model / "CARD.md").read_text()
    stored = json.loads((model / "settings.json").read_text())["settings"]
    assert (stored["further_collections"], stored["further_images"]) == (2, 30)

    code, said = refusal(capsys, *asked, "--also", folders["own"], "--out", tmp_path / "twice")
    assert (code, f"{folders['own']}: adds nothing: each of its images is in --images" in said) == (2, True)
    assert not (tmp_path / "twice").exists()


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


def test_methods_and_backbones_are_listed_without_loading_torch() -> None:
    program = ("import sys; from core.__main__ import main; main(['methods']); main(['backbones']); "
               "sys.exit('torch' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "must: " in done.stdout
    assert "clip-vit-l14" in done.stdout


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
    "duplicate names": (("--names", "{twice}"), 2, "line 3 ('Zero'): the same name as line 1"),
    "names in another encoding": (("--names", "{latin}"), 2, "not text in UTF-8"),
    "names that are not there": (("--names", "{nowhere}"), 2, "cannot be read: No such file"),
    "held-out of all": (("--names", "{names}", "--held-out", "1.5"), 2, "no share between 0 and 1"),
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
    "labels of nothing": (("--names", "{names}", "--labels", "{strange}"), 2, "x.png is not among the images"),
}


@pytest.mark.parametrize("case", BAD)
def test_it_says_what_is_wrong_and_leaves_nothing_behind(
        case: str, digits: Digits, names: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {name: tmp_path / f"{name}.txt" for name in ("one", "twice", "latin", "strange", "nowhere")}
    files["one"].write_text("zero\n")
    files["twice"].write_text("zero\none\nZero\n")
    files["latin"].write_bytes("Bär\nFüchse\n".encode("latin-1"))
    files["strange"].write_text("path,label\nx.png,zero\n")
    arguments, expected, words = BAD[case]
    filled = [one.format(names=names, **files) for one in arguments]
    code, said = refusal(capsys, "adapt", "--images", digits[0], "--out", tmp_path / "out", *filled)
    assert code == expected, said
    assert words in said
    assert not (tmp_path / "out" / "labels.csv").exists()
    if expected == 2:
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


def test_a_reader_that_went_away_ends_it_quietly() -> None:
    program = f"set -o pipefail; {sys.executable} -m core methods | true"
    done = subprocess.run(["bash", "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 141
    assert done.stderr == ""
