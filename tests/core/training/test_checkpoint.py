"""Checkpoints: whole or not at all, by version, and honest about a full disk."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from core.errors import CheckpointError
from core.training.checkpoint import FORMAT_VERSION, Checkpoints

MEGABYTE = 1024 * 1024


def test_what_is_saved_is_loaded(tmp_path: Path):
    state = {"weights": torch.randn(3, 2), "half": torch.ones(2, dtype=torch.bfloat16), "count": torch.tensor(7),
             "stage": "adapting", "numbers": [1, 2.5, None]}
    Checkpoints(tmp_path / "run").save(state, 12)
    loaded = Checkpoints(tmp_path / "run").load()
    assert loaded is not None
    assert loaded.pop("step") == 12
    assert loaded.keys() == state.keys()
    for name, value in state.items():
        assert torch.equal(loaded[name], value) if isinstance(value, torch.Tensor) else loaded[name] == value


def test_there_is_none_at_first_and_after_clearing(tmp_path: Path):
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.load() is None
    checkpoints.save({}, 1)
    checkpoints.clear()
    assert checkpoints.load() is None
    checkpoints.clear()


def test_a_later_one_takes_the_place_of_the_earlier(tmp_path: Path):
    checkpoints = Checkpoints(tmp_path)
    for step in (1, 2):
        checkpoints.save({"at": torch.tensor(step)}, step)
    loaded = checkpoints.load()
    assert loaded is not None
    assert (loaded["step"], int(loaded["at"])) == (2, 2)
    assert len(list(tmp_path.iterdir())) == 1


def test_it_refuses_a_checkpoint_of_another_version(tmp_path: Path):
    checkpoints = Checkpoints(tmp_path)
    later = FORMAT_VERSION + 1
    save_file({}, checkpoints.path, metadata={"labelfree": f'{{"version": {later}, "step": 1, "values": {{}}}}'})
    with pytest.raises(CheckpointError, match=rf"format {later}.*reads format {FORMAT_VERSION}.*start again"):
        checkpoints.load()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint at all", b"\x10\0\0\0\0\0\0\0{}"])
def test_it_refuses_a_damaged_file_and_says_what_to_do(tmp_path: Path, content: bytes):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"cannot be read.*delete it"):
        checkpoints.load()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 3 MB."""
    mounted = tmp_path / "disk"
    mounted.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", mounted], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"cannot mount a small disk ({done.stderr.strip()}): needs root")
    yield mounted
    subprocess.run(["umount", mounted], check=True)


def test_a_full_disk_keeps_the_previous_checkpoint_and_says_how_much_is_needed(small_disk: Path):
    checkpoints = Checkpoints(small_disk)
    checkpoints.save({"weights": torch.ones(MEGABYTE // 4)}, 1)
    why = r"needs 2 MB and .* has 2 MB free: free some space.*previous checkpoint is intact"
    with pytest.raises(CheckpointError, match=why):
        checkpoints.save({"weights": torch.zeros(MEGABYTE // 2 + 1000)}, 2)
    loaded = checkpoints.load()
    assert loaded is not None
    assert loaded["step"] == 1
    assert loaded["weights"].sum() == MEGABYTE // 4
    assert [one.name for one in small_disk.iterdir()] == ["checkpoint.safetensors"]


def test_a_file_that_may_not_grow_is_reported_likewise(tmp_path: Path):
    program = (
        "import resource, sys, torch; from pathlib import Path\n"
        "from core.errors import CheckpointError; from core.training.checkpoint import Checkpoints\n"
        "checkpoints = Checkpoints(Path(sys.argv[1])); checkpoints.save({'weights': torch.ones(10)}, 1)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({MEGABYTE}, {MEGABYTE}))\n"
        "try: checkpoints.save({'weights': torch.ones(1_000_000)}, 2)\n"
        "except CheckpointError as error: print(error, checkpoints.load()['step'])\n")
    done = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, cwd=Path.cwd(),
                          env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert "previous checkpoint is intact 1" in done.stdout, done.stderr
    assert [one.name for one in tmp_path.iterdir()] == ["checkpoint.safetensors"]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != MEGABYTE
