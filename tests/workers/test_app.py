"""Putting messages on queues."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from workers.app import app, send


@pytest.fixture
def deaf_redis() -> Iterator[None]:
    """Listen where Redis should be, and never answer."""
    with socket.socket(socket.AF_UNIX) as server:
        path = Path(settings.HOME) / "redis.sock"
        server.bind(str(path))
        server.listen()
        yield
        path.unlink()


def waiting(queue: str) -> int:
    """Return how many messages a queue holds."""
    with app.connection_for_read() as connection:
        return int(connection.default_channel.client.llen(queue))


def test_it_says_no_at_once_when_redis_is_away():
    began = time.monotonic()
    assert not send("execute_run", 1, "gpu")
    assert time.monotonic() - began < 2


def test_it_says_no_soon_when_redis_does_not_answer(deaf_redis: None):
    began = time.monotonic()
    assert not send("execute_run", 1, "gpu")
    assert time.monotonic() - began < 3


def test_it_puts_a_message_on_the_queue_that_was_named(broker: str):
    assert send("execute_run", 17, "gpu")
    assert send("workers.tasks.read_upload", "a-b", "cpu")
    assert (waiting("gpu"), waiting("cpu")) == (1, 1)
