"""Which programs a worker is made of."""

from __future__ import annotations

import io
import subprocess

import pytest
from django.core.management import CommandError, call_command

from workers import nodes
from workers.management.commands import worker
from workers.management.commands.worker import Command
from workers.nodes import computes_on, programs


def test_a_gpu_does_one_run_at_a_time_unless_told_otherwise(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,3")

    def at_once(found):
        return [(one.environment["CUDA_VISIBLE_DEVICES"], one.command[one.command.index("--concurrency") + 1])
                for one in found if "celery" in one.command]

    assert at_once(programs(["gpu"], 2)) == [("0", "1"), ("3", "1")]
    assert at_once(programs(["gpu", "cpu"], 2, runs_a_device=4)) == [("0", "4"), ("3", "4"), ("", "2"), ("", "1")]


def test_a_worker_has_the_quick_lane_unless_told_otherwise_and_it_does_one_run_at_a_time_without_a_gpu(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    asked = Command().create_parser("manage.py", "worker").parse_args([]).queues.split(",")
    lanes = [one for one in programs(asked, 2, runs_a_device=4) if one.name == "quick"]
    assert len(lanes) == 1 and lanes[0].environment["CUDA_VISIBLE_DEVICES"] == ""
    assert lanes[0].command[lanes[0].command.index("--concurrency") + 1] == "1"
    assert not any(one.name == "quick" for one in programs(["gpu", "cpu"], 2))


def test_no_runs_at_all_is_said_another_way():
    with pytest.raises(CommandError, match="--queues cpu"):
        call_command("worker", "--runs-per-gpu", "0")


def test_its_first_lines_say_that_there_is_no_gpu(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("REDIS_URL", "redis://:s3cret@localhost:1/0")
    monkeypatch.setattr(worker, "supervise", lambda *_: None)
    said = io.StringIO()
    call_command("worker", stdout=said)
    assert said.getvalue().splitlines() == ["worker of gpu and quick and cpu, on redis://:**@localhost:1/0",
                                            "computes on the CPU: no GPU was found"]


def test_gpus_are_called_by_their_names(monkeypatch):
    listed = subprocess.CompletedProcess([], 0, stdout="NVIDIA H200 (cuda:0)\nNVIDIA H200 (cuda:1)\n")
    monkeypatch.setattr(nodes.subprocess, "run", lambda *_, **__: listed)
    assert computes_on() == "computes on NVIDIA H200 (cuda:0), NVIDIA H200 (cuda:1)"
