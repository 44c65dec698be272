"""A run in a terminal: repeatable, heard, stopped cleanly."""

from __future__ import annotations

import io
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from core.errors import Cancelled
from core.run import Progress
from core.shell import Bar, JsonLines, LocalRun, best_device


def local_run(folder: Path, listener: Bar | JsonLines | None = None, seed: int = 0) -> LocalRun:
    return LocalRun(device=torch.device("cpu"), seed=seed, folder=folder, listener=listener)


def draw(run: LocalRun, purpose: str) -> list[float]:
    return torch.rand(3, generator=run.generator(purpose)).tolist()


def test_a_purpose_draws_the_same_numbers_in_every_run_of_a_seed(tmp_path: Path) -> None:
    assert draw(local_run(tmp_path), "masks") == draw(local_run(tmp_path), "masks")


def test_purposes_and_seeds_draw_different_numbers(tmp_path: Path) -> None:
    run = local_run(tmp_path)
    drawn = [draw(run, "masks"), draw(run, "order"), draw(local_run(tmp_path, seed=1), "masks")]
    assert len({tuple(one) for one in drawn}) == 3


def test_it_goes_on_until_it_is_asked_to_stop(tmp_path: Path) -> None:
    run, report = local_run(tmp_path), Progress(stage="adapting", step=1, total=2)
    run.report(report)
    run.cancel_requested = True
    with pytest.raises(Cancelled):
        run.report(report)


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C mean what it means in a terminal: a shell that starts the tests in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
def test_ctrl_c_stops_at_the_next_report_and_a_second_one_at_once(tmp_path: Path) -> None:
    run, before = local_run(tmp_path), signal.getsignal(signal.SIGINT)
    with run.stopped_by_ctrl_c():
        os.kill(os.getpid(), signal.SIGINT)
        assert run.cancel_requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_means_what_it_did_once_the_run_is_over(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ValueError, match="lost"), local_run(tmp_path).stopped_by_ctrl_c():
        raise ValueError("lost")
    assert signal.getsignal(signal.SIGINT) is before


def test_a_person_sees_stage_percent_terms_and_result() -> None:
    output, errors = io.StringIO(), io.StringIO()
    bar = Bar(output, errors)
    bar.progress(Progress(stage="adapting", step=1, total=4, terms={"loss": 0.123456}))
    bar.progress(Progress(stage="adapting", step=4, total=4, terms={"loss": 0.1}))
    bar.progress(Progress(stage="answering", step=10, total=10))
    bar.note("left out a.txt: not an image")
    bar.result("done", {"label_free_score": 0.5, "classes_found": "9 of 10"})
    assert "adapting: 100%" in errors.getvalue()
    assert "4/4" in errors.getvalue()
    assert "answering: 100%" in errors.getvalue()
    assert "left out a.txt" in errors.getvalue()
    assert output.getvalue() == "done\n  label free score  0.5000\n  classes found     9 of 10\n"


def test_rows_of_one_kind_stand_under_each_other_and_are_objects_for_a_program() -> None:
    rows = [{"run": "one", "share": 0.5, "said": {"accuracy": 0.8, "low": 0.7, "high": 0.9}, "empty": None},
            {"run": "two", "share": None, "said": None, "empty": None}]
    output, lines = io.StringIO(), io.StringIO()
    Bar(output, io.StringIO()).table("Runs", rows)
    assert output.getvalue() == ("Runs\n  run  share   said\n  one  0.5000  0.80 (0.70–0.90)\n  two  –       –\n")
    JsonLines(lines).table("Runs", rows)
    assert [json.loads(line) for line in lines.getvalue().splitlines()] == [
        {"event": "result", "title": "Runs", **row} for row in rows]


def test_a_program_reads_one_object_a_line_and_always_the_last_of_a_stage() -> None:
    output = io.StringIO()
    lines = JsonLines(output)
    for step in range(1, 101):
        lines.progress(Progress(stage="adapting", step=step, total=100, histogram=(1, 2)))
    lines.note("ü")
    lines.result("done", {"seconds": 1.0})
    found = [json.loads(line) for line in output.getvalue().splitlines()]
    assert [one["event"] for one in found] == ["progress", "progress", "note", "result"]
    assert [one["step"] for one in found[:2]] == [1, 100]
    assert found[0]["histogram"] == [1, 2]
    assert found[2]["text"] == "ü"


def test_auto_takes_what_the_machine_has() -> None:
    assert best_device().type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert best_device("cpu").type == "cpu"
