"""`adapt` on real digits: what it writes, how it stops and goes on, what it begins with."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import subprocess
import zipfile
from pathlib import Path

import pytest

from core.__main__ import main
from tests.core.command_line.asking import ROOT, Digits, command, refusal, rows, run


def test_names_in_labels_and_a_model_out(digits: Digits, names: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run("adapt", "--images", digits[0], "--names", names, "--set", "templates=one", "--held-out", "0.2",
               "--json", "--out", out)
    assert done.returncode == 0, done.stderr
    written = {"package.zip", "model", "labels.csv", "to_label.csv", "result.json", "held_out.txt"}
    assert {file.name for file in out.iterdir()} == written
    labels = rows(out / "labels.csv")
    assert list(labels[0]) == ["path", "label", "confidence", "margin"]
    assert [row["path"] for row in labels] == sorted(path.name for path in digits[0].iterdir())
    assert {row["label"] for row in labels} <= set(names.read_text().split())
    held_out = (out / "held_out.txt").read_text().split()
    assert len(held_out) == 12
    to_label = rows(out / "to_label.csv")
    assert 12 <= len(to_label) <= 30
    assert all(row["label"] == "" and row["path"] not in held_out for row in to_label)
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
    assert result["baseline"]["method"] == "zeroshot"
    assert result["estimated"] is None, "what is estimated of answers that labels taught is too far off to be shown"
    assert said["start_from"] == str(tmp_path / "first")
    weights = (tmp_path / "first" / "model" / "model.safetensors").read_bytes()
    assert said["start_sha256"] == hashlib.sha256(weights).hexdigest()
    assert main(["adapt", "--images", str(digits[0]), "--classes", "10", "--method", "kmeans", "--set",
                 "spaces=starter-mae", "--start-from", str(tmp_path / "first"), "--out", str(tmp_path / "untold")]) == 0
    inherited = json.loads((tmp_path / "untold" / "result.json").read_text())["taught"]
    assert inherited == result["taught"], "its encoder knows them"
    card = (tmp_path / "second" / "model" / "CARD.md").read_text()
    assert "15 of them labelled by a person" in card
    assert f"Begun with the encoder of an adapted model: {tmp_path / 'first'}" in card
    capsys.readouterr()
    code, words = refusal(capsys, "adapt", "--images", digits[0], "--names", names, "--start-from", tmp_path / "first",
                          "--out", tmp_path / "third")
    assert code == 2
    assert "holds an adapted starter-mae, the settings ask for starter-clip" in words
    assert not (tmp_path / "third").exists()


def test_labels_name_groups_unless_told_otherwise(digits: Digits, names: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("path,label\n" + "".join(f"digit-{index:04d}.png,nine\n" for index in range(3)))
    asked = ["adapt", "--images", str(digits[0]), "--names", str(names), "--method", "kmeans", "--set", "starts=1",
             "--labels", str(labels)]
    assert main([*asked, "--out", str(tmp_path / "named")]) == 0
    assert "nine" in {row["label"] for row in rows(tmp_path / "named" / "labels.csv")[:3]}
    assert json.loads((tmp_path / "named" / "result.json").read_text())["taught"] == [
        f"digit-{index:04d}.png" for index in range(3)]
    assert main([*asked, "--set", "names_from_labels=no", "--out", str(tmp_path / "guessed")]) == 2


def test_of_labels_from_review_a_person_s_count_and_of_held_out_images_none(
        digits: Digits, names: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels, held_out = tmp_path / "labels.csv", tmp_path / "held_out.txt"
    labels.write_text("path,label,source,confidence\n" + "".join(
        f"digit-{index:04d}.png,NINE,{'person' if index < 4 else 'model'},0.5\n" for index in range(20)))
    held_out.write_text("digit-0003.png\n")
    assert main(["adapt", "--images", str(digits[0]), "--names", str(names), "--method", "kmeans", "--set", "starts=1",
                 "--labels", str(labels), "--held-out", str(held_out), "--out", str(tmp_path / "out")]) == 0
    assert "1 of 4 labels are of images that are held out, and teach nothing" in capsys.readouterr().err
    assert json.loads((tmp_path / "out" / "result.json").read_text())["taught"] == [
        f"digit-{index:04d}.png" for index in range(3)]


def test_a_run_that_has_ended_is_said_to_have(digits: Digits, tmp_path: Path,
                                             capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("adapt", "--images", digits[0], "--classes", "3", "--method", "kmeans", "--set", "starts=1", "--out",
             tmp_path / "out", "--resume")
    assert refusal(capsys, *asked)[0] == 0
    code, said = refusal(capsys, *asked)
    assert (code, "has ended, its answers are in labels.csv" in said) == (2, True)


def test_where_names_drift_the_terminal_and_the_card_say_that_zero_shot_was_kept(
        digits: Digits, names: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = ("templates=one", "epochs=1", "batch_size=20", "base_learning_rate=0.1", "least_kept=1")
    code, said = refusal(capsys, "adapt", "--images", digits[0], "--names", names, "--method", "must",
                         *(part for one in settings for part in ("--set", one)), "--out", tmp_path / "out")
    assert code == 0, said
    (note,) = json.loads((tmp_path / "out" / "result.json").read_text())["notes"]
    assert note.startswith("Zero-shot, balanced, was kept. MUST adapted the model, but then only ")
    assert note in said
    assert f"\n- {note}\n" in (tmp_path / "out" / "model" / "CARD.md").read_text()
