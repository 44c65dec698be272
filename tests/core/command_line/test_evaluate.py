"""`evaluate`: labels beside the truth."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.__main__ import main


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
