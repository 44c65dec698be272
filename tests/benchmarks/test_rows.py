from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from benchmarks import rows
from benchmarks.answers import AnswerCache

ROW = rows.Row(target="digits", method="MUST", seed=1, settings={}, metrics={"accuracy": 0.5}, label_free_score=0.5,
               seconds=1.0, weights="abc", label_free={"mean_confidence": 0.7}, processor="AMD EPYC, AVX2")


def test_a_row_from_before_the_label_free_figures_and_processors_is_still_read(tmp_path: Path) -> None:
    old = asdict(ROW)
    del old["label_free"], old["processor"]
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(old) + "\n")
    rows.append(file, ROW)
    assert rows.read(file) == [replace(ROW, label_free={}, processor=""), ROW]


def test_the_committed_rows_are_read() -> None:
    assert rows.read(rows.RESULTS / "accuracy.jsonl")


def test_answers_are_found_again_and_other_seeds_apart_from_ones_own(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path, "abc")
    assert cache.find("digits", "zero-shot, 80 templates", 0) is None
    for seed in (0, 2):
        cache.keep("digits", "zero-shot, 80 templates", seed, np.full((3, 2), seed / 4, dtype=np.float32))
    found = cache.find("digits", "zero-shot, 80 templates", 2)
    assert found is not None and found.tolist() == [[0.5, 0.5]] * 3
    assert [one.max() for one in cache.others("digits", "zero-shot, 80 templates", 2)] == [0.0]
    assert cache.others("cartoon", "zero-shot, 80 templates", 2) == []
