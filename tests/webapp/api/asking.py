"""Calls of the API in JSON, and what it says."""

from __future__ import annotations

import json
from typing import Any

from django.test import Client

V1 = "/api/v1"


def send(client: Client, verb: str, path: str, body: object = None) -> tuple[int, Any]:
    """Call the API with JSON; return status and answer."""
    answer = client.generic(verb, V1 + path, json.dumps(body) if body is not None else "",
                            content_type="application/json")
    return answer.status_code, answer.json() if "json" in answer.headers["Content-Type"] else answer


def refused(client: Client, verb: str, path: str, body: object = None) -> tuple[int, dict[str, str]]:
    """Call the API and return the status and what it says was wrong, checking the one shape of errors."""
    status, answer = send(client, verb, path, body)
    assert set(answer) == {"error"}
    assert set(answer["error"]) == {"what", "reason", "fix"}
    assert all(answer["error"].values())
    return status, answer["error"]
