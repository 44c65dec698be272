"""The baseline that `adapt` runs too: what answers, and how the result is held against it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from core.evaluation import estimate, guard
from tests.core.command_line.asking import QUICK_MUST, Digits, events_of, rows


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
    calibration = estimate.calibration_of("names", "starter-clip")
    assert calibration is not None
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
    opinions = result["signals"]["second_opinion"], result["baseline"]["second_opinion"]
    assert all(0 < one <= 1 for one in opinions)
    assert result["objection"] == str(guard.objection(result["histogram"], result["baseline"]["histogram"],
                                                      opinions=opinions) or "")
    groups = estimate.calibration_of("groups", "starter-clip")
    assert (result["estimated"] is not None) == (groups is not None and groups.holds), "shown where it holds alone"
    assert {row["label"] for row in rows(tmp_path / "out" / "baseline.csv")} <= {f"cluster {one}" for one in range(11)}
    assert {one["name"] for one in result["pictures"]} == {
        file.stem for file in (tmp_path / "out" / "pictures").iterdir()}, "the baseline's pictures are not kept"
    said = events_of(capsys, *asked, "--classes", "10", "--no-baseline", "--out", tmp_path / "alone")[-1]
    assert "baseline" not in said and "agreement_with_baseline" not in said
    assert not (tmp_path / "alone" / "baseline.csv").exists()
    kept = [rows(tmp_path / folder / "labels.csv") for folder in ("out", "alone")]
    assert kept[0] == kept[1], "the baseline changes nothing of the answers"
