"""``python -m core evaluate`` on real digits and random weights: what it measures, writes and refuses."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from core.__main__ import main
from core.backbones.load import load_backbone
from core.classifier import Classifier, Member
from core.errors import ConfigError
from core.evaluation.evidence import NEEDS
from core.evaluation.examination import EvaluateRequest, _called, _evidence, evaluate
from core.evaluation.measures import GROUPS, MEASURES
from core.shell import LocalRun
from tests.core.recorder import Recorder

Digits = tuple[Path, list[int]]


@pytest.fixture
def truth(digits: Digits, tmp_path: Path, digit_names: tuple[str, ...]) -> Path:
    """Write what every digit is."""
    file = tmp_path / "truth.csv"
    rows = [f"digit-{index:04d}.png,{digit_names[label]}" for index, label in enumerate(digits[1])]
    file.write_text("\n".join(["path,label", *rows]))
    return file


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, dict[str, dict], list[str], str]:
    """Return the exit code, results by measure, notes, and what was said on stderr."""
    code = main(["evaluate", "--json", *map(str, arguments)])
    said = capsys.readouterr()
    events = [json.loads(line) for line in said.out.splitlines()]
    return (code, {event["measure"]: event for event in events if event["event"] == "result"},
            [event["text"] for event in events if event["event"] == "note"], said.err)


def classifier(method: str, names: tuple[str, ...], settings: dict[str, object]) -> Classifier:
    """Return a classifier of the starter with a head at random."""
    backbone = load_backbone("starter-clip")
    weight = torch.randn(backbone.width, len(names), generator=torch.Generator().manual_seed(0))
    return Classifier(members=(Member(backbone=backbone, weight=weight),), class_names=names, method=method,
                      settings=settings)


def test_several_measures_at_once(starters: Path, digits: Digits, truth: Path, tmp_path: Path,
                                  capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    code, found, notes, errors = run(
        capsys, "--backbone", "starter-clip", "--images", digits[0], "--truth", truth, "--sample", "8", "--out", out,
        "--measure", "labels,knn,probe,shots,silhouette,retrieval,invariance,attention,map")
    assert code == 0, errors
    assert set(found) == {"agreement", "confusion", "calibration", "knn", "probe", "shots", "silhouette", "retrieval",
                          "invariance", "attention", "map"}
    assert {name: one["images"] for name, one in found.items() if one["images"] < 60} == {
        "invariance": 8, "attention": 8}
    assert all(0 <= found[name]["accuracy"] <= 1 for name in ("agreement", "confusion", "calibration", "knn", "probe"))
    assert found["confusion"]["accuracy"] == pytest.approx(found["agreement"]["accuracy"])
    assert found["probe"]["accuracy"] > 0.4  # real digits, random weights: pixels are told apart
    assert any(note.startswith("shots: 5-shot: a class has") for note in notes)
    assert "attention: columns: image, this model" in notes
    with Image.open(out / "attention.png") as picture:
        assert picture.size == (2 * 162 - 2, 8 * 162 - 2)
    with (out / "map.csv").open(newline="") as stream:
        assert len(list(csv.reader(stream))) == 61
    assert {file.suffix for file in out.iterdir()} == {".csv", ".png"}


def test_a_group_leaves_out_what_cannot_be_and_a_name_is_refused(starters: Path, digits: Digits, truth: Path,
                                                                 capsys: pytest.CaptureFixture[str]) -> None:
    given = ("--backbone", "starter-mae", "--images", digits[0])
    code, found, notes, _ = run(capsys, *given, "--measure", "pictures,labels,silhouette", "--truth", truth)
    assert code == 0
    assert list(found) == ["silhouette"]
    assert f"left out map: {NEEDS['folder']}" in notes
    assert any("starter-mae" not in note and note.startswith("left out agreement: needs answers") for note in notes)
    code, found, _, errors = run(capsys, *given, "--measure", "knn")
    assert (code, found) == (2, {})
    assert errors == f"error: knn: {NEEDS['truth']}\n"


def test_labels_bring_their_confidence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels, truth = tmp_path / "labels.csv", tmp_path / "truth.csv"
    labels.write_text("path,label,confidence\na,cat,1\nb,cat,0.6\n")
    truth.write_text("path,label\na,cat\nb,dog\n")
    code, found, _, _ = run(capsys, "--labels", labels, "--truth", truth, "--measure", "calibration")
    assert code == 0
    assert found["calibration"]["expected_calibration_error"] == pytest.approx(0.3)
    labels.write_text("path,label,confidence\na,cat,2\n")
    code, _, _, errors = run(capsys, "--labels", labels, "--truth", truth, "--measure", "calibration")
    assert code == 2
    assert "line 2: the confidence '2' is no number from 0 to 1" in errors


def test_images_whose_labels_a_run_learnt_from_are_no_measure_of_it(tmp_path: Path,
                                                                    capsys: pytest.CaptureFixture[str]) -> None:
    labels, truth = tmp_path / "labels.csv", tmp_path / "truth.csv"
    labels.write_text("path,label\na,cat\nb,cat\nc,dog\n")
    truth.write_text("path,label\na,cat\nb,dog\nc,cat\n")
    (tmp_path / "result.json").write_text(json.dumps({"taught": ["a"]}))
    code, found, notes, _ = run(capsys, "--labels", labels, "--truth", truth)
    assert (code, found["agreement"]["accuracy"], found["agreement"]["images"]) == (0, 0.0, 2)
    assert notes == ["images whose labels this run learnt from are left out: 1"]
    (tmp_path / "result.json").write_text(json.dumps({"taught": ["a", "b", "c"]}))
    code, _, _, errors = run(capsys, "--labels", labels, "--truth", truth)
    assert code == 2
    assert "names only images whose labels this run learnt from" in errors


def test_what_people_corrected_is_no_answer_of_the_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels, truth = tmp_path / "labels.csv", tmp_path / "truth.csv"
    labels.write_text("path,label,confidence,margin,source\na,cat,0.9,0.8,model\nb,dog,0.6,0.2,model\nc,dog,,,person\n")
    truth.write_text("path,label\na,cat\nb,cat\nc,dog\n")
    code, found, notes, _ = run(capsys, "--labels", labels, "--truth", truth, "--measure", "agreement,calibration")
    assert (code, found["agreement"]["accuracy"], found["agreement"]["images"]) == (0, 0.5, 2)
    assert found["calibration"]["mean_confidence"] == pytest.approx(0.75)
    assert notes == ["images that a person answered are left out, for the model's own answers are not in the file: 1; "
                     "if those were mistakes, the figures are too high"]
    labels.write_text("Path, Label, Source\na,cat,Person\nb,dog,person\n")
    code, _, _, errors = run(capsys, "--labels", labels, "--truth", truth)
    assert code == 2
    assert "has only a person's answers to the images of the truth, by its column source" in errors


def test_labels_that_were_learnt_and_are_not_known_are_said(
        starters: Path, digits: Digits, truth: Path, digit_names: tuple[str, ...], tmp_path: Path,
        capsys: pytest.CaptureFixture[str]) -> None:
    learnt = classifier("semimae", digit_names, {"labelled_images": 12})
    learnt.save(tmp_path / "sent" / "model")
    package = Path(shutil.make_archive(str(tmp_path / "sent" / "run-7-model"), "zip", tmp_path / "sent" / "model"))
    (tmp_path / "sent" / "labels.csv").write_text("path,label\ndigit-0000.png,zero\n")
    given = ("--model", package, "--images", digits[0], "--measure")
    for asked in ((*given, "agreement"), ("--labels", tmp_path / "sent" / "labels.csv")):
        code, _, notes, errors = run(capsys, *asked, "--truth", truth)
        assert code == 0, errors
        assert [note.partition(", and no result.json")[0] for note in notes] == [
            "this run learnt from 12 labelled image(s)"]
        assert notes[0].endswith("those that the truth names are measured too, so the figures may be too high")
    assert run(capsys, *given, "invariance", "--sample", "2")[2] == []  # without a truth nothing is held against it
    (tmp_path / "sent" / "result.json").write_text(json.dumps({"taught": ["digit-0001.png"]}))
    _, found, notes, _ = run(capsys, *given, "agreement", "--truth", truth)
    assert notes[0] == "images whose labels this run learnt from are left out: 1"
    assert found["agreement"]["images"] == 59
    assert not any("labelled image(s)" in note for note in notes)


def test_guessed_names_of_groups_are_not_taken_for_class_names(tmp_path: Path,
                                                               capsys: pytest.CaptureFixture[str]) -> None:
    labels, truth = tmp_path / "labels.csv", tmp_path / "truth.csv"
    labels.write_text("path,label\na,dog\nb,cat\nc,cat\nd,owl\n")
    truth.write_text("path,label\na,cat\nb,dog\nc,dog\nd,owl\n")
    _, found, _, _ = run(capsys, "--labels", labels, "--truth", truth)
    assert found["agreement"]["accuracy"] == 0.25  # nobody knows whose answers these are
    (tmp_path / "model").mkdir()
    for method, figure, value in (("kmeans", "hungarian_accuracy", 1.0), ("must", "accuracy", 0.25),
                                  ("somebody's", "accuracy", 0.25)):
        (tmp_path / "model" / "settings.json").write_text(json.dumps({"method": method, "settings": {}}))
        code, found, _, errors = run(capsys, "--labels", labels, "--truth", truth)
        assert code == 0, errors
        assert found["agreement"][figure] == value
        assert {"accuracy", "hungarian_accuracy"} & found["agreement"].keys() == {figure}


def test_a_model_of_groups_is_matched_and_refused_where_names_are_needed(
        starters: Path, digits: Digits, truth: Path, digit_names: tuple[str, ...], tmp_path: Path,
        capsys: pytest.CaptureFixture[str]) -> None:
    classifier("kmeans", digit_names, {}).save(tmp_path / "model")
    given = ("--model", tmp_path, "--images", digits[0], "--truth", truth, "--measure")
    code, found, _, errors = run(capsys, *given, "agreement")
    assert code == 0, errors
    assert "hungarian_accuracy" in found["agreement"]
    assert "accuracy" not in found["agreement"]
    code, _, _, errors = run(capsys, *given, "corruptions")
    assert code == 2
    assert errors == f"error: corruptions: {NEEDS['class names']}\n"


@pytest.mark.parametrize(("given", "called"), [
    (("runs/must-0.4", "runs/must-0.6/model", "runs/first/package.zip", "runs/second.zip"),
     ("must-0.4", "must-0.6", "first", "second")),
    (("a/run/model", "b/run/package.zip", "a/other"), ("a/run/model", "b/run/package.zip", "other"))])
def test_models_beside_are_told_apart_by_their_folders_or_else_by_their_paths(
        given: tuple[str, ...], called: tuple[str, ...]) -> None:
    assert _called([Path(one) for one in given]) == called


def test_archives_of_one_name_are_two_collections(tmp_path: Path) -> None:
    places = {}
    for role, shade in (("new", 40), ("old", 200)):
        (tmp_path / role / "photos").mkdir(parents=True)
        Image.new("RGB", (600, 600), (shade,) * 3).save(tmp_path / role / "photos" / "a.png")  # too big to be kept
        places[role] = Path(shutil.make_archive(str(tmp_path / role / "photos"), "zip", tmp_path / role / "photos"))
    (tmp_path / "truth.csv").write_text("path,label\na.png,grey\n")
    listener = Recorder()
    evidence = _evidence(
        EvaluateRequest(backbone="starter-mae", images=places["new"], source=places["old"],
                        source_truth=tmp_path / "truth.csv"),
        LocalRun(device=torch.device("cpu"), seed=0, folder=tmp_path / "run", listener=listener), listener)
    assert evidence.source is not None
    assert [one.pictures.load(0).getpixel((0, 0))[0] for one in (evidence, evidence.source)] == [40, 200]
    assert evidence.pictures.fingerprint != evidence.source.pictures.fingerprint


def test_images_that_are_all_alike_have_a_map_too(starters: Path, tmp_path: Path,
                                                  capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "white").mkdir()
    for side in range(20, 26):
        Image.new("RGB", (side, 2 * side), "white").save(tmp_path / "white" / f"{side}.png")
    code, found, _, errors = run(capsys, "--backbone", "starter-clip", "--images", tmp_path / "white", "--measure",
                                 "map", "--out", tmp_path / "out")
    assert (code, found["map"]["images"]) == (0, 6), errors
    with (tmp_path / "out" / "map.csv").open(newline="") as stream:
        assert {tuple(row[2:]) for row in list(csv.reader(stream))[1:]} == {("0.5", "0.5")}


BAD = {
    "unknown measure": (("--backbone", "starter-mae", "--measure", "beauty"), "'beauty' is none of agreement"),
    "no images": (("--backbone", "starter-mae"), "give --images DIR"),
    "labels without truth": (("--labels", "{truth}"), "give --truth CSV"),
    "an answer of what answers nothing": (("--backbone", "starter-mae", "--images", "{images}", "--truth", "{truth}",
                                           "--measure", "corruptions"), "needs a model that answers"),
    "a picture without a place": (("--backbone", "starter-mae", "--images", "{images}", "--measure", "map"),
                                  "give --out DIR"),
    "half a source": (("--backbone", "starter-mae", "--images", "{images}", "--source", "{images}"),
                      "--source and --source-truth"),
    "another collection's truth": (("--backbone", "starter-mae", "--images", "{images}", "--truth", "{other}"),
                                   "names none of the images"),
    "no image at all": (("--backbone", "starter-mae", "--images", "{images}", "--sample", "0"), "less than one image"),
}


@pytest.mark.parametrize("case", BAD)
def test_it_says_what_is_missing(case: str, starters: Path, digits: Digits, truth: Path, tmp_path: Path,
                                 capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.csv"
    other.write_text("path,label\nx.png,zero\n")
    arguments, words = BAD[case]
    filled = [one.format(truth=truth, images=digits[0], other=other) for one in arguments]
    code, _, _, errors = run(capsys, *filled)
    assert code == 2
    assert words in errors


def test_measures_are_listed_with_unit_and_source(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["measures"]) == 0
    said = capsys.readouterr().out
    assert all(any(line.startswith(name) for line in said.splitlines()) for name in MEASURES)
    assert main(["measures", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["measure"] for row in rows] == list(MEASURES)


def test_the_table_of_measures_holds_together() -> None:
    from importlib import import_module

    for one in MEASURES.values():
        module, _, function = one.function.partition(":")
        assert callable(getattr(import_module(module), function))
        assert set(one.needs) <= NEEDS.keys()
        assert one.unit
        assert one.source
    assert all(name in MEASURES for names in GROUPS.values() for name in names)
    assert not GROUPS.keys() & MEASURES.keys()


def test_an_adapted_model_is_compared_with_what_it_was(
        starters: Path, digits: Digits, truth: Path, digit_names: tuple[str, ...], tmp_path: Path,
        capsys: pytest.CaptureFixture[str]) -> None:
    names = tmp_path / "names.txt"
    names.write_text("\n".join(digit_names))
    assert main(["adapt", "--images", str(digits[0]), "--names", str(names), "--set", "templates=one", "--out",
                 str(tmp_path / "adapted")]) == 0
    capsys.readouterr()
    recorder = Recorder(reports_only=False)
    found = evaluate(EvaluateRequest(
        model=tmp_path / "adapted", images=digits[0], truth=truth, source=digits[0], source_truth=truth,
        out=tmp_path / "out", measure="forgetting,attention", beside=(tmp_path / "adapted" / "package.zip",)), recorder)
    figures = found["forgetting"].figures  # zero-shot adapts nothing: nothing is forgotten
    assert figures["bcubed_precision_before"] == pytest.approx(figures["bcubed_precision_after"])
    assert figures["nearest_neighbours_lost"] == pytest.approx(0.0)
    assert found["attention"].notes == ("columns: image, zero-shot, adapted, this model",)
    assert "attention: columns: image, zero-shot, adapted, this model" in recorder.notes


def test_a_model_from_scratch_was_nothing_before(
        starters: Path, digits: Digits, truth: Path, digit_names: tuple[str, ...], tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("\n".join(digit_names))
    assert main(["adapt", "--images", str(digits[0]), "--names", str(names), "--method", "semimae", "--labels",
                 str(truth), "--set", "backbone=starter-mae", "--set", "pretrained=no", "--set", "epochs=0.1", "--set",
                 "warming_epochs=0", "--set", "batch_size=8", "--no-baseline", "--out", str(tmp_path / "adapted")]) == 0
    with pytest.raises(ConfigError, match="one that did not begin from scratch"):
        evaluate(EvaluateRequest(model=tmp_path / "adapted", images=digits[0], source=digits[0], source_truth=truth,
                                 measure="forgetting"), Recorder(reports_only=False))
