"""What judges sources and settings: the matrix of routes and roles, Django's own check, bandit, pip-audit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree  # nosec B405 # reads what pytest wrote
from pathlib import Path

from benchmarks.app import SOURCES

MATRIX = "tests/webapp/test_all_routes.py"
DOOR_TESTS = (MATRIX, "tests/webapp/panel/test_guard.py", "tests/webapp/panel/test_sessions.py",
              "tests/webapp/accounts/test_tokens.py", "tests/webapp/sharing", "tests/webapp/config/test_settings.py")
JUDGED = ("core", "webapp", "workers", "benchmarks", "manage.py")
AUDIT_SECONDS = 120


def run_tests(path: str) -> tuple[int, list[str], dict[str, float]]:
    """Run tests; return how many requests they made (else: cases), what failed or was skipped, and figures."""
    with tempfile.TemporaryDirectory() as folder:
        report, requests = Path(folder) / "report.xml", Path(folder) / "requests"
        subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "benchmarks.request_counter",
                        "-p", "no:cacheprovider", "--timeout", "0", f"--junit-xml={report}", path],
                       cwd=SOURCES, env={**os.environ, "REQUESTS_FILE": str(requests)}, check=False,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if not report.exists():
            return 0, [f"{path} could not be run"], {}
        cases = list(ElementTree.parse(report).getroot().iter("testcase"))  # noqa: S314  # nosec B314 # so does this
        made = int(requests.read_text())
    wrong = [f"{case.get('name')}: {found.tag}: {(found.get('message') or '')[:200]}"
             for case in cases for found in case if found.tag in ("failure", "error", "skipped")]
    return made or len(cases), wrong, {"cases": float(len(cases))}


def check_deployment() -> list[str]:
    """Return what Django says against the settings as they are behind TLS."""
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run(
            [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"], cwd=SOURCES,
            capture_output=True, text=True, check=False,
            env={**os.environ, "LABELFREE_TLS": "1", "LABELFREE_HOME": folder, "DEBUG": ""})
    return [] if run.returncode == 0 else [line for line in run.stderr.splitlines() if line.startswith("?:")][:9] or [
        run.stderr[-300:]]


def bandit() -> tuple[int, list[str], dict[str, float]]:
    """Return how many files bandit read, what it found that is not explained, and how often it was told why not."""
    run = subprocess.run([sys.executable, "-m", "bandit", "-q", "-r", *JUDGED, "-c", "pyproject.toml", "-f", "json"],
                         cwd=SOURCES, capture_output=True, text=True, check=False)
    try:
        told = json.loads(run.stdout)
    except ValueError:
        return 0, [f"bandit could not be run: {run.stderr[-300:]}"], {}
    wrong = [f"{one['filename']}:{one['line_number']}: {one['test_id']} {one['issue_text']}" for one in told["results"]]
    wrong += [f"{one['filename']}: {one['reason']}" for one in told["errors"]]
    explained = float(told["metrics"]["_totals"]["skipped_tests"])
    return len(told["metrics"]) - 1, wrong, {"explained_at_the_line": explained}


def audit() -> tuple[int, list[str]]:
    """Return of how many packages known holes were looked up, and those found.

    The advisory source may not answer, or answer without knowing any package, as an index of one's own does: that is 0.
    """
    try:
        run = subprocess.run(
            [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off", "--timeout", "10"],
            cwd=SOURCES, capture_output=True, text=True, check=False, timeout=AUDIT_SECONDS)
        packages = json.loads(run.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError):
        return 0, []
    looked_up = [one for one in packages if "skip_reason" not in one]
    holes = [f"{one['name']} {one['version']}: {hole['id']}" for one in looked_up for hole in one["vulns"]]
    return len(looked_up), holes
