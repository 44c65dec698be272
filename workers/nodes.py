"""The worker's programs: a Celery node for each GPU, the quick lane, two for what needs neither, and the reaper."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

from workers.supervisor import Program

PATIENCE_SECONDS = 5.0
"""A node that is told to stop puts its run back on the queue within this time."""

NO_PICKLE_HERE = "ignore:You're running the worker with superuser privileges"
"""Celery warns root, for messages may be pickles that run code; ours are JSON and nothing else is accepted."""

GPUS_OF_TORCH = """
import torch
for number in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
    print(f"{torch.cuda.get_device_name(number)} (cuda:{number})")
"""


def programs(queues: Sequence[str], concurrency: int, runs_a_device: int = 1) -> list[Program]:
    """Return the nodes that take work from `queues`, and the reaper.

    A run has a child process of its own, so the node of a GPU is one thread that watches, and so is that of the quick
    lane, which sees no GPU. The queue "cpu" reads strangers' files: its tasks run in processes that may crash. So does
    the queue "trial" that comes with it, in a process of its own: a single image that a person waits for never stands
    behind archives, and one process alone holds the models that were asked lately.

    Args:
        queues: some of "gpu", "quick" and "cpu".
        concurrency: tasks at once on the queue "cpu".
        runs_a_device: runs at once on each GPU, or on the machine where there is none; they share its memory.
    """
    found = [Program(name="reaper", command=[sys.executable, "-m", "workers.reaper"],
                     patience_seconds=PATIENCE_SECONDS)]
    if "gpu" in queues:
        found += [_node("gpu", number, ["--pool", "threads", "--concurrency", str(runs_a_device)],
                        {} if device is None else {"CUDA_VISIBLE_DEVICES": device})
                  for number, device in enumerate(devices())]
    if "quick" in queues:
        found.append(_node("quick", 0, ["--pool", "threads", "--concurrency", "1"], {"CUDA_VISIBLE_DEVICES": ""}))
    if "cpu" in queues:
        found.append(_node("cpu", 0, ["--pool", "prefork", "--concurrency", str(concurrency)],
                           {"CUDA_VISIBLE_DEVICES": ""}))
        found.append(_node("trial", 0, ["--pool", "prefork", "--concurrency", "1"], {"CUDA_VISIBLE_DEVICES": ""}))
    return found


def devices() -> list[str | None]:
    """Return the GPUs to use, those of ``CUDA_VISIBLE_DEVICES`` if it is set; [None] stands for a machine without."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [one.strip() for one in chosen.split(",") if one.strip()] or [None]
    if shutil.which("nvidia-smi") is None:
        return [None]
    listed = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, check=False)
    count = sum(line.startswith("GPU ") for line in listed.stdout.splitlines())
    return [str(number) for number in range(count)] or [None]


def computes_on() -> str:
    """Return what runs compute on, as torch sees it: it may lack the driver for a GPU that nvidia-smi lists.

    A child is asked, for whoever supervises shall hold neither torch nor a part of a GPU's memory.
    """
    asked = subprocess.run([sys.executable, "-c", GPUS_OF_TORCH], capture_output=True, text=True, check=False)
    return f"computes on {', '.join(asked.stdout.splitlines()) or 'the CPU: no GPU was found'}"


def _node(queue: str, number: int, pool: Sequence[str], environment: dict[str, str]) -> Program:
    """Return one Celery node of one queue."""
    return Program(
        name=queue if number == 0 else f"{queue}{number}", patience_seconds=PATIENCE_SECONDS,
        environment={"PYTHONWARNINGS": NO_PICKLE_HERE, **environment},
        command=[sys.executable, "-m", "celery", "--quiet", "--app", "workers.tasks", "worker", "--queues", queue,
                 "--hostname", f"{queue}.{number}.{os.getpid()}@%h", *pool,
                 "--without-gossip", "--without-mingle", "--loglevel", "INFO"])
