"""What schemathesis is told of this API (``SCHEMATHESIS_HOOKS``): what exists, and how a refusal must read.

The file named by BENCH_API_NOTES says what exists by the first word of an address, and receives how many requests were
made and the slowest.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import schemathesis

NOTES = Path(os.environ["BENCH_API_NOTES"])
EXISTING: dict[str, list[int]] = json.loads(NOTES.read_text())
MADE = NOTES.with_suffix(".made")
"""A byte for each answer that was looked at, and its time beside it."""


@schemathesis.hook
def map_path_parameters(context: Any, path_parameters: dict[str, Any]) -> dict[str, Any]:
    """Let every other number be that of something that exists: else all answers are 404."""
    known = EXISTING.get(context.operation.path.split("/")[3])
    number = path_parameters.get("pk") if path_parameters else None
    if known and isinstance(number, int) and number % 2:
        return {**path_parameters, "pk": known[number % len(known)]}
    return path_parameters


@schemathesis.check
def refusal_names_the_thing(context: Any, response: Any, case: Any) -> None:
    """Every answer of 400 and above is {"error": {"what", "reason", "fix"}}, and `what` is a thing of the request."""
    with MADE.open("a") as made:
        made.write(f"{response.elapsed:.3f}\n")
    if response.status_code < 400 or case.method.upper() == "HEAD" or not response.content:
        return
    assert response.headers["content-type"][0].startswith("application/json"), f"no JSON: {response.content[:100]!r}"
    said = json.loads(response.content)
    assert set(said) == {"error"}, f"not in the one shape of errors: {said}"
    error = said["error"]
    assert all(isinstance(error[one], str) and error[one].strip() for one in ("what", "reason", "fix")), error
    if response.status_code == 422:
        sent = repr([case.body, case.query, case.path_parameters])
        field = error["what"].split(".")[0]
        described = json.dumps(case.operation.definition.raw)
        words = (*described.split('"'), *fields(case.operation.schema.raw_schema), *WORDS)
        known = field in words or repr(field)[1:-1] in sent or error["what"].startswith(("run ", "setting "))
        assert known, f"{field!r} is nothing that was sent"


def fields(document: dict[str, Any]) -> set[str]:
    """Return the names of all fields of bodies: an operation's own stand behind a reference in its description."""
    return {name for schema in document["components"]["schemas"].values() for name in schema.get("properties", {})}


WORDS = ("class names", "name of the list", "truth CSV", "labels CSV", "classes", "room", "request")
"""What the API calls things of a request that are no field of it."""
