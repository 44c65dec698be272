"""A plugin for pytest that counts the requests its tests make: ``-p benchmarks.request_counter``, REQUESTS_FILE."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.test import Client

made = [0]


def _counted(function: Any) -> Any:
    def counting(*arguments: Any, **named: Any) -> Any:
        made[0] += 1
        return function(*arguments, **named)
    return counting


def pytest_configure(config: pytest.Config) -> None:
    """Count from now on."""
    Client.request = _counted(Client.request)  # type: ignore[method-assign]
    httpx.Client.send = _counted(httpx.Client.send)  # type: ignore[method-assign]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write how many there were."""
    Path(os.environ["REQUESTS_FILE"]).write_text(str(made[0]))
