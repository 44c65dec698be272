"""``spot-check`` on runs that ``adapt`` really made of digits."""

from __future__ import annotations

import csv
import json
import shutil
import zipfile
from pathlib import Path

import pytest

from core.__main__ import main
from tests.core.finished_runs import command, fill, labels_of

Digits = tuple[Path, list[int]]
CARD_LINE = "- Measured by spot check: "


@pytest.mark.parametrize("design", ["uniform", "stratified"])
def test_a_filled_sheet_measures_the_run_and_goes_into_its_cards(
        design: str, runs: Path, digits: Digits, capsys: pytest.CaptureFixture[str]) -> None:
    run = runs / "one"
    asked = ("spot-check", run, "--images", digits[0], "--count", "40", "--design", design, "--seed", "7")
    code, events, said = command(capsys, *asked)
    assert code == 0, said
    sheet = Path(str(events[-1]["sheet"]))
    assert sheet == run / "spot_check" / f"{design}-40-7" / "sheet.csv"
    with sheet.open(newline="") as stream:
        drawn = list(csv.DictReader(stream))
    assert len({row["path"] for row in drawn}) == 40
    assert {row["label"] for row in drawn} == {""}, "what the model said is not told"
    assert all((sheet.parent / row["image"]).stat().st_size for row in drawn)
    answers = labels_of(run / "labels.csv")
    words = [answers[row["path"]].upper() for row in drawn]
    words[0], words[1], words[2] = "-", "-", "?"
    code, events, said = command(capsys, "spot-check", run, "--answers", fill(sheet, words))
    assert code == 0, said
    found = events[-1]
    ends = found["measured_accuracy"]
    assert isinstance(ends, dict) and 0.7 < ends["low"] < ends["accuracy"] < ends["high"] < 1
    if design == "uniform":
        assert ends["accuracy"] == pytest.approx(37 / 39)
    assert (found["answered"], found["unsure"], found["mistakes"], found["seed"]) == (39, 1, 2, 7)
    with zipfile.ZipFile(run / "package.zip") as archive:
        cards = [archive.read("CARD.md").decode(), (run / "model" / "CARD.md").read_text()]
        assert archive.testzip() is None
        assert archive.read("model.safetensors") == (run / "model" / "model.safetensors").read_bytes()
    for card in cards:
        assert card.count(CARD_LINE) == 1
        assert "No figure was measured" not in card
        assert "of 40 asked, 1 could not be told." in card
    assert json.loads((run / "result.json").read_text())["spot_check"]["accuracy"] == ends["accuracy"]
    _, events, _ = command(capsys, "compare", run, runs / "groups")
    assert events[0]["spot_checked_accuracy"] == ends
    again = command(capsys, *asked)
    assert (again[0], "holds that sample already" in again[2]) == (2, True)


def test_one_s_own_sheet_is_the_only_one_taken(runs: Path, digits: Digits,
                                               capsys: pytest.CaptureFixture[str]) -> None:
    run = runs / "one"
    code, events, _ = command(capsys, "spot-check", run, "--images", digits[0], "--count", "5")
    sheet = Path(str(events[-1]["sheet"]))
    code, _, said = command(capsys, "spot-check", run, "--answers", sheet)
    assert (code, "line 2 lacks a path or a label; write a class name, - for none" in said) == (2, True)
    code, _, said = command(capsys, "spot-check", run, "--answers", fill(sheet, ["eleven", "one", "one", "one", "one"]))
    assert (code, "'eleven' (" in said, "is none of the run's classes" in said) == (2, True, True)
    filled = fill(sheet, ["one"] * 5)
    lines = filled.read_text().splitlines()
    filled.write_text("\n".join(lines[:-1]) + "\n")
    code, _, said = command(capsys, "spot-check", run, "--answers", filled)
    assert (code, "its 4 images are no sample that was drawn" in said) == (2, True)
    filled.write_text("\n".join(lines) + "\n")
    labels = run / "labels.csv"
    labels.write_text(labels.read_text().replace("0.", "0.0"))
    code, _, said = command(capsys, "spot-check", run, "--answers", filled)
    assert (code, "have changed since the sample was drawn" in said) == (2, True)
    assert CARD_LINE not in (run / "model" / "CARD.md").read_text()


def test_the_card_tells_which_of_how_many_samples_it_is(runs: Path, digits: Digits,
                                                        capsys: pytest.CaptureFixture[str]) -> None:
    run, answers = runs / "one", labels_of(runs / "one" / "labels.csv")
    for seed in ("1", "2", "3"):
        _, events, _ = command(capsys, "spot-check", run, "--images", digits[0], "--count", "20", "--seed", seed)
        if seed == "2":
            sheet = Path(str(events[-1]["sheet"]))
    with sheet.open(newline="") as stream:
        words = [answers[row["path"]] for row in csv.DictReader(stream)]
    assert command(capsys, "spot-check", run, "--answers", fill(sheet, words))[0] == 0
    assert "sample 2 of 3 drawn, seed 2" in (run / "model" / "CARD.md").read_text()


def test_what_a_run_was_told_is_no_measure_of_it(runs: Path, digits: Digits, tmp_path: Path,
                                                 capsys: pytest.CaptureFixture[str]) -> None:
    run, answers = runs / "one", labels_of(runs / "one" / "labels.csv")
    taught = list(answers)[:20]
    result = json.loads((run / "result.json").read_text())
    (run / "result.json").write_text(json.dumps(result | {"taught": taught}))
    _, events, _ = command(capsys, "spot-check", run, "--images", digits[0], "--count", "60")
    sheet = Path(str(events[-1]["sheet"]))
    with sheet.open(newline="") as stream:
        drawn = [row["path"] for row in csv.DictReader(stream)]
    assert sorted(drawn) == list(answers)[20:]
    _, events, _ = command(capsys, "spot-check", run, "--answers", fill(sheet, [answers[path] for path in drawn]))
    assert events[-1]["measured_accuracy"] == {"accuracy": 1.0, "low": 1.0, "high": 1.0}
    truth = tmp_path / "truth.csv"
    truth.write_text("path,label\n" + "".join(
        f"{path},{'-' if path in taught else label}\n" for path, label in answers.items()))
    _, events, _ = command(capsys, "compare", run, runs / "seven", "--truth", truth)
    assert events[0]["measured"] == 1.0
    seven = labels_of(runs / "seven" / "labels.csv")
    others = [path for path in answers if path not in taught]
    assert events[1]["measured"] == pytest.approx(sum(seven[path] == answers[path] for path in others) / 40)
    assert [one["measured_images"] for one in events[:2]] == [40, 40]


def test_where_nobody_could_tell_nothing_is_measured(runs: Path, digits: Digits,
                                                     capsys: pytest.CaptureFixture[str]) -> None:
    run = runs / "one"
    _, events, _ = command(capsys, "spot-check", run, "--images", digits[0], "--count", "5")
    code, events, _ = command(capsys, "spot-check", run, "--answers", fill(Path(str(events[-1]["sheet"])), ["?"] * 5))
    assert code == 0
    assert "nothing is measured" in str(events[0]["text"])
    assert "measured_accuracy" not in events[-1]
    assert "No figure was measured" in (run / "model" / "CARD.md").read_text()


@pytest.mark.parametrize(("arguments", "words"), [
    (("groups", "--images", "{images}"), "cannot know what “cluster 3” means"),
    (("one",), "give --images to draw a sample, or --answers"),
    (("one", "--images", "{images}", "--count", "0"), "give a positive number"),
    (("one", "--images", "{images}", "--count", "2", "--design", "stratified"), "a stratified sample needs two each"),
    (("one", "--images", "{few}"), "is not among its images"),
])
def test_a_sample_that_cannot_be_drawn_is_refused_and_leaves_nothing(
        arguments: tuple[str, ...], words: str, runs: Path, digits: Digits, tmp_path: Path,
        capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "few").mkdir()
    shutil.copy(digits[0] / "digit-0000.png", tmp_path / "few")
    run, *rest = (one.format(images=digits[0], few=tmp_path / "few") for one in arguments)
    code, _, said = command(capsys, "spot-check", runs / run, *rest)
    assert (code, words in said) == (2, True), said
    assert not list((runs / run).glob("spot_check/*"))


def test_a_sample_of_one_run_measures_another_and_settles_what_its_guard_said(
        runs: Path, digits: Digits, digit_names: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """The other's `labels.csv` is made right and its baseline's wrong, as the random weights answer by chance."""
    drawn_for, run = runs / "seven", runs / "one"
    truth = {f"digit-{number:04d}.png": digit_names[digit] for number, digit in enumerate(digits[1])}
    names = list(labels_of(run / "labels.csv"))
    assert set(truth) == set(names)
    wrong = {path: digit_names[(digit_names.index(name) + 1) % 10] for path, name in truth.items()}
    for file, answers in (("labels.csv", truth), ("baseline.csv", wrong)):
        (run / file).write_text("path,label,confidence\n" + "".join(f"{path},{answers[path]},0.5\n" for path in names))
    result = json.loads((run / "result.json").read_text())
    said = result | {"objection": "Keep the baseline: a sign.", "baseline": {"method": "zeroshot"}}
    (run / "result.json").write_text(json.dumps(said))

    _, events, _ = command(capsys, "spot-check", drawn_for, "--images", digits[0], "--count", "30", "--seed", "3")
    sheet = Path(str(events[-1]["sheet"]))
    with sheet.open(newline="") as stream:
        filled = fill(sheet, [truth[row["path"]] for row in csv.DictReader(stream)])
    code, _, refusal = command(capsys, "spot-check", run, "--answers", filled)
    assert (code, "are no sample that was drawn of" in refusal) == (2, True)
    code, events, refusal = command(capsys, "spot-check", run, "--answers", filled, "--drawn-for", drawn_for)
    assert code == 0, refusal
    found = events[-1]
    assert (found["measured_accuracy"]["accuracy"], found["measured_baseline"]["accuracy"]) == (1, 0)
    assert found["difference"]["value"] == 1 and found["difference"]["low"] > 0.8
    capsys.readouterr()
    assert main(["spot-check", str(run), "--answers", str(filled), "--drawn-for", str(drawn_for)]) == 0
    told = capsys.readouterr()
    assert "Zero-shot has 100 points fewer right on the same images" in told.err
    assert "+1.00 (+" in told.out and "mistakes" in told.out, "a person reads all that a program does"
    kept = json.loads((run / "result.json").read_text())
    assert (kept["objection"], kept["spot_check"]["difference"]) == ("", found["difference"])
    card = (run / "model" / "CARD.md").read_text()
    assert "; the sample was drawn for seven; Zero-shot has 100 points fewer right on the same images" in card


def test_a_sample_of_other_images_or_names_measures_nothing_here(
        runs: Path, digits: Digits, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("spot-check", runs / "one", "--answers", runs / "one" / "labels.csv", "--drawn-for")
    code, _, said = command(capsys, *asked, runs / "groups")
    assert (code, "it answers in other names than" in said) == (2, True)
    file = runs / "seven" / "labels.csv"
    file.write_text(file.read_text().replace("digit-", "other-"))
    code, _, said = command(capsys, *asked, runs / "seven")
    assert (code, "it answered other images than" in said) == (2, True)
    code, _, said = command(capsys, "spot-check", runs / "one", "--images", digits[0], "--drawn-for", runs / "seven")
    assert (code, "it goes with --answers" in said) == (2, True)


def test_a_sample_that_taught_the_run_or_was_drawn_without_what_others_learnt_measures_nothing(
        runs: Path, digits: Digits, capsys: pytest.CaptureFixture[str]) -> None:
    _, events, _ = command(capsys, "spot-check", runs / "seven", "--images", digits[0], "--count", "20")
    sheet = Path(str(events[-1]["sheet"]))
    with sheet.open(newline="") as stream:
        paths = [row["path"] for row in csv.DictReader(stream)]
    answers = labels_of(runs / "seven" / "labels.csv")
    filled = fill(sheet, [answers[path] for path in paths])
    said = json.loads((runs / "one" / "result.json").read_text())
    (runs / "one" / "result.json").write_text(json.dumps(said | {"taught": paths[:3]}))
    code, _, refusal = command(capsys, "spot-check", runs / "one", "--answers", filled, "--drawn-for", runs / "seven")
    assert (code, "learnt the label of 3 of its images" in refusal) == (2, True)
    code, _, refusal = command(capsys, "spot-check", runs / "seven", "--answers", filled, "--drawn-for", runs / "one")
    assert (code, "drawn without those images" in refusal) == (2, True)
