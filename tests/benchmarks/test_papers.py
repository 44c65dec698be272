"""The command for the papers' tables, on a stand-in: real digits, the bundled models, one step or two."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import papers, rows
from benchmarks.paper_templates import TEMPLATES, template_settings
from benchmarks.targets import DIGIT_NAMES, write_digits
from core.catalog import parse, split_templates
from core.errors import DataError
from core.presets.table import PRESETS

SMALL = {
    "must dtd-b": {"backbone": "starter-clip", "epochs": "1", "mask_patch_px": "16"},
    "maect min-b": {"backbone": "starter-mae", "epochs": "1", "preparing_epochs": "1", "frozen_blocks": "3"},
    "maect min-h": {"backbone": "starter-mae", "epochs": "1", "preparing_epochs": "1", "frozen_blocks": "3"},
    "finetune paper": {"backbone": "starter-mae", "epochs": "1"},
    "semimae from-scratch": {"backbone": "starter-mae", "epochs": "1", "warming_epochs": "1"},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write 60 digits to learn from and 40 to be asked, a folder a class, under every data set's name."""
    data = tmp_path_factory.mktemp("papers")
    write_digits(data / "digits")
    files = sorted((data / "digits").iterdir())
    for target in {claim.target for claim in papers.claims()}:
        for part, chosen in (("train", files[:60]), ("test", files[60:100])):
            for file in chosen:
                place = data / target / part / f"class-{file.stem[-1]}"
                place.mkdir(parents=True, exist_ok=True)
                (place / file.name).symlink_to(file)
        names = "".join(f"class-{digit}\t{name}\n" for digit, name in enumerate(DIGIT_NAMES))
        (data / target / "names.txt").write_text(names)
    return data


@pytest.mark.parametrize("title", SMALL)
def test_each_paper_s_claim_is_measured_on_the_images_it_did_not_see(title: str, data: Path):
    claim = next(claim for claim in papers.claims() if claim.title == title)
    row = papers.measure(claim, data, seed=0, overrides=SMALL[title])
    assert (row.target, row.method) == (claim.target, title)
    assert 0 < row.metrics[claim.measure] <= 1
    if title == "must dtd-b":
        assert "a photo of the {} pattern." in str(row.settings["own_templates"]).splitlines()


def test_every_claim_has_its_preset():
    assert len(list(papers.claims())) == 14 + 6 + 8 + 1
    assert all(claim.preset in PRESETS[claim.method] for claim in papers.claims())


def test_must_reads_names_and_is_scored_as_its_paper_on_each_data_set():
    assert {target: len(found) for target, found in TEMPLATES.items()} == {
        "sun397": 2, "food101": 1, "gtsrb": 3, "dtd": 8, "ucf101": 48, "pets": 1, "caltech101": 34}
    must = {claim.target: claim.measure for claim in papers.claims() if claim.method == "must"}
    assert must.keys() == TEMPLATES.keys() | {"imagenet"}
    assert {target for target, measure in must.items() if measure == "mean_per_class"} == {"pets", "caltech101"}
    for target in TEMPLATES:
        settings = parse("must", {**PRESETS["must"]["dtd-b"], **template_settings(target)})
        assert split_templates(settings.own_templates) == TEMPLATES[target]
        assert len(set(TEMPLATES[target])) == len(TEMPLATES[target])


def test_a_cluster_accuracy_is_claimed_of_no_model_that_the_paper_has_none_of():
    of_h14 = {claim.preset: (claim.table, claim.measure) for claim in papers.claims()
              if claim.method == "maect" and PRESETS["maect"][claim.preset]["backbone"] == "mae-vit-h14"}
    assert of_h14 == dict.fromkeys(("min-h", "aug-h"), ("MAE-CT, Table 14", "neighbours_accuracy"))
    for preset in of_h14:
        assert "Table 14" in PRESETS["maect"][preset].expected


def test_what_is_measured_is_not_measured_again_and_what_is_missing_is_named(
        data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    results = tmp_path / "papers.jsonl"
    rows.append(results, rows.Row(target="dtd", method="must dtd-b", seed=0, settings={}, metrics={"accuracy": 0.5},
                                  label_free_score=None, seconds=1, weights="published"))
    monkeypatch.setattr(sys, "argv", ["papers", "--data", str(tmp_path), "--results", str(results), "--only", "dtd"])
    assert papers.main() == 1
    said = capsys.readouterr().out
    assert "must dtd-b on dtd: 50.0, reported 54.1" in said
    assert f"left out must dtd-l on dtd: {tmp_path / 'dtd' / 'train'}" in said


def test_a_class_without_a_name_is_named(data: Path, tmp_path: Path):
    (tmp_path / "train").symlink_to(data / "dtd" / "train")
    (tmp_path / "names.txt").write_text("class-0\tzero\n")
    with pytest.raises(DataError, match="class-1"):
        papers.read_part(tmp_path / "train", tmp_path / "cache")
