"""``compare`` on runs that ``adapt`` really made of digits."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from core.__main__ import main
from core.evaluation.metrics import hungarian_accuracy
from tests.core.finished_runs import command, labels_of

Digits = tuple[Path, list[int]]


def test_runs_stand_side_by_side(runs: Path, digits: Digits, digit_names: tuple[str, ...], tmp_path: Path,
                                 capsys: pytest.CaptureFixture[str]) -> None:
    truth, out = tmp_path / "truth.csv", tmp_path / "disputed.csv"
    true = {f"digit-{index:04d}.png": digit_names[label] for index, label in enumerate(digits[1])}
    truth.write_text("path,label\n" + "".join(f"{path},{label.upper()}\n" for path, label in true.items()))
    folders = [runs / name for name in ("one", "seven", "groups")]
    code, events, _ = command(capsys, "compare", *folders, "--truth", truth, "--out", out)
    assert code == 0
    table = [one for one in events if one["title"] == "Runs side by side"]
    assert [(one["run"], one["method"]) for one in table] == [
        ("one", "Zero-shot"), ("seven", "Zero-shot"), ("groups", "k-means")]
    one, seven, groups = (labels_of(folder / "labels.csv") for folder in folders)
    result = json.loads((runs / "one" / "result.json").read_text())
    assert table[0]["classes_found"] == f"{result['classes_found']} of 10"
    assert (table[0]["label_free_score"], table[0]["estimated_accuracy"]) == (
        result["label_free_score"], result["estimated"])
    grouped = json.loads((runs / "groups" / "result.json").read_text())
    assert table[0]["spot_checked_accuracy"] is None
    assert table[2]["estimated_accuracy"] == grouped["estimated"] and grouped["estimated"]["accuracy"] > 0
    assert table[0]["measured"] == pytest.approx(sum(one[path] == true[path] for path in true) / 60)
    matrix = {line["run"]: line for line in events if line["title"] == "Share of images with the same answer"}
    assert matrix["one"]["one"] is None
    assert matrix["one"]["seven"] == matrix["seven"]["one"] == sum(one[path] == seven[path] for path in true) / 60
    clusters = sorted(set(groups.values()))
    index = {name: number for number, name in enumerate(digit_names)}
    expected = hungarian_accuracy([clusters.index(groups[path]) for path in true], [index[one[path]] for path in true])
    assert matrix["one"]["groups"] == pytest.approx(expected)

    with out.open(newline="") as stream:
        disputed = list(csv.DictReader(stream))
    assert events[-1]["disputed"] == len(disputed)
    assert [int(line["contradicted_by"]) for line in disputed] == sorted(
        (int(line["contradicted_by"]) for line in disputed), reverse=True)
    assert {path for path in true if one[path] != seven[path]} <= {line["path"] for line in disputed}
    assert all(line["groups"].startswith("cluster") for line in disputed)


def test_runs_whose_names_stand_in_another_order_are_compared_by_name(
        runs: Path, digits: Digits, digit_names: tuple[str, ...], tmp_path: Path,
        capsys: pytest.CaptureFixture[str]) -> None:
    turned = tmp_path / "names.txt"
    turned.write_text("\n".join([*reversed(digit_names), "letter"]))
    named = ["--images", digits[0], "--names", turned, "--set", "templates=one"]
    assert main(["adapt", *map(str, named), "--out", str(runs / "turned")]) == 0
    ours, theirs = (labels_of(runs / name / "labels.csv") for name in ("one", "turned"))
    wrong = {path: digit_names[(digit_names.index(name) + 1) % 10] for path, name in ours.items()}
    (runs / "turned" / "labels.csv").write_text(  # each answer another one's name: matched, they would agree on all
        (runs / "turned" / "labels.csv").read_text().splitlines()[0] + "\n"
        + "".join(f"{path},{name},0.5\n" for path, name in wrong.items()))
    assert ours.keys() == theirs.keys()
    _, events, _ = command(capsys, "compare", runs / "one", runs / "turned", "--out", tmp_path / "disputed.csv")
    matrix = [line for line in events if line["title"] == "Share of images with the same answer"]
    assert matrix[0]["turned"] == 0.0
    assert events[-1]["disputed"] == len(ours)


def test_a_person_reads_what_the_estimate_of_groups_is_of(digits: Digits, tmp_path: Path,
                                                          capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["adapt", "--images", str(digits[0]), "--classes", "10", "--method", "kmeans", "--set", "starts=2"]
    assert main([*asked, "--out", str(tmp_path / "groups")]) == 0
    said = capsys.readouterr()
    assert "estimated accuracy" in said.out
    assert "what is right once each group bears the name that fits it best" in said.err


def test_a_person_reads_a_table_without_columns_that_nobody_fills(runs: Path,
                                                                  capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["compare", str(runs / "one"), str(runs / "groups")]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "Runs side by side"
    assert said[1].split()[:4] == ["run", "method", "classes", "found"]
    assert "spot checked" not in said[1] and "estimated accuracy" in said[1]
    assert said[2].split()[:2] == ["one", "Zero-shot"]
    assert said[4] == "Share of images with the same answer"


def test_runs_of_different_images_have_no_agreement(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = runs / "seven" / "labels.csv"
    file.write_text(file.read_text().replace("digit-", "other-"))
    code, events, _ = command(capsys, "compare", runs / "one", runs / "seven")
    assert code == 0
    assert "no two of them answered an image of the same path" in str(events[-1]["text"])
    assert [one["seven"] for one in events if one.get("run") == "one" and "seven" in one] == [None]


@pytest.mark.parametrize(("folders", "words"), [
    (("one",), "two or more different folders"), (("one", "one"), "two or more different folders"),
    (("one", "nowhere"), "no run that ended: result.json is missing"),
])
def test_what_cannot_be_compared_is_refused(runs: Path, folders: tuple[str, ...], words: str,
                                            capsys: pytest.CaptureFixture[str]) -> None:
    code, _, said = command(capsys, "compare", *(runs / one for one in folders))
    assert (code, words in said) == (2, True)


def test_runs_are_measured_only_on_what_all_of_them_answered(runs: Path, tmp_path: Path,
                                                             capsys: pytest.CaptureFixture[str]) -> None:
    answers = labels_of(runs / "one" / "labels.csv")
    file, truth = runs / "seven" / "labels.csv", tmp_path / "truth.csv"
    file.write_text(file.read_text().replace("digit-", "other-"))
    truth.write_text("path,label\n" + "".join(f"{path},{label}\n" for path, label in answers.items()))
    _, events, _ = command(capsys, "compare", runs / "one", runs / "seven", "--truth", truth)
    assert [one["measured"] for one in events[:2]] == [None, None]
    _, events, _ = command(capsys, "compare", runs / "one", runs / "groups", "--truth", truth)
    assert events[0]["measured"] == 1.0
