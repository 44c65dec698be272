"""schemathesis on the running product's own OpenAPI document, with a real token."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from benchmarks.app import SOURCES, App

CHECKS = ("not_a_server_error", "content_type_conformance", "response_schema_conformance",
          "ensure_resource_availability", "ignored_auth", "refusal_names_the_thing")
LIMIT_SECONDS = 3600


def fuzz(app: App, token: str, existing: dict[str, list[int]], examples: int,
         seed: int) -> tuple[int, list[str], float]:
    """Ask what schemathesis makes up; return how many requests were made, what is wrong, and the slowest answer, s."""
    notes = app.home / "api-notes.json"
    notes.write_text(json.dumps(existing))
    made = notes.with_suffix(".made")
    made.unlink(missing_ok=True)
    run = subprocess.run(
        [str(Path(sys.executable).with_name("schemathesis")), "run", f"{app.api.base}/api/v1/openapi.json",
         "--header", f"Authorization: Bearer {token}", "--checks", ",".join(CHECKS), "--max-examples", str(examples),
         "--seed", str(seed), "--generation-allow-x00", "true", "--generation-database", "none", "--no-color",
         "--warnings", "off", "--request-timeout", "120", "--continue-on-failure", "--max-failures", "20",
         "--suppress-health-check", "all", "--no-shrink"],
        env={**os.environ, "SCHEMATHESIS_HOOKS": "benchmarks.api_hooks", "BENCH_API_NOTES": str(notes),
             "PYTHONPATH": str(SOURCES), "NO_PROXY": "127.0.0.1"},
        cwd=app.home, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False)
    (app.home / f"schemathesis-{seed}.txt").write_text(run.stdout + run.stderr)
    seconds = [float(line) for line in made.read_text().splitlines()] if made.exists() else []
    wrong = []
    if run.returncode:
        errors = re.findall(r"(?m)^ +[\w.]+Error: .*$", run.stdout)
        wrong = [*failures(run.stdout), *(one.strip() for one in dict.fromkeys(errors))][:20]
        wrong = wrong or [f"ended with {run.returncode}: {run.stderr[-300:]}"]
    return len(seconds), wrong, max(seconds, default=0.0)


def failures(told: str) -> list[str]:
    """Return what schemathesis says failed, a sentence each."""
    _, _, rest = told.partition("= FAILURES =")
    found, place = [], ""
    for line in rest.splitlines():
        if match := re.match(r"_+ (\S+ /\S+) _+", line):
            place = match[1]
        elif line.startswith("- "):
            found.append(f"{place}: {line[2:]}")
    return list(dict.fromkeys(found))[:20]
