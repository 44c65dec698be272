"""No outbound connection: the main job in a network namespace without a route, with every look-up and call noted."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WATCH = ROOT / "tests" / "offline" / "watch"


@pytest.fixture
def apart(tmp_path: Path) -> Callable[..., tuple[subprocess.CompletedProcess[str], str]]:
    """Return a function that runs Python in a namespace of its own and gives the result and what was noted."""
    if not shutil.which("unshare") or subprocess.run(
            ["unshare", "--map-root-user", "--net", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no network namespace may be made here")
    notes = tmp_path / "notes"

    def run(*arguments: str, timeout_seconds: int = 100, **environment: str):
        notes.write_text("")
        done = subprocess.run(
            ["unshare", "--map-root-user", "--net", sys.executable, *arguments], cwd=ROOT, capture_output=True,
            text=True, timeout=timeout_seconds, check=False,
            env={**os.environ, "PYTHONPATH": f"{WATCH}{os.pathsep}{ROOT}", "OFFLINE_NOTES": str(notes), **environment})
        return done, notes.read_text()

    return run


@pytest.mark.parametrize("url", ["http://192.0.2.1/", "http://example.com/"])
def test_an_outbound_call_would_be_seen_and_would_fail(apart, url):
    call = f"u.build_opener(u.ProxyHandler({{}})).open({url!r}, timeout=5)"
    done, noted = apart("-c", f"import urllib.request as u; {call}")
    assert done.returncode == 1
    assert url.split("/")[2] in noted


@pytest.mark.timeout(1500)
def test_the_main_job_calls_nobody(apart, digits, tmp_path):
    """`manage.py up`, an upload, a run on the bundled weights, its pages, the panel and the package.

    A bucket is listed, which nobody asks for anything until a person does.
    """
    done, noted = apart("-m", "tests.offline.way", str(digits[0]), timeout_seconds=1400,
                        LABELFREE_HOME=str(tmp_path / "home"), LABELFREE_PORT="8000", OMP_NUM_THREADS="1",
                        LABELFREE_BUCKETS="museum=https://bucket.example.org/photos")
    assert done.stdout.endswith("the whole way\n"), done.stdout[-2000:] + done.stderr[-3000:]
    assert noted == ""
