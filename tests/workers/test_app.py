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


class Waits:
    """How often it was connected, and how many seconds each wait for an answer and each pause might have lasted."""

    def __init__(self) -> None:
        self.connected, self.seconds = 0, []


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Waits:
    """Note what might be waited for, where the time it took would tell of a busy machine too."""
    noted = Waits()

    class Noting(socket.socket):
        def connect(self, address: object) -> None:
            noted.connected += 1  # to a unix socket, which is taken or refused at once
            super().connect(address)

        def recv(self, *arguments: int) -> bytes:
            noted.seconds.append(self.gettimeout())
            return super().recv(*arguments)

    monkeypatch.setattr(socket, "socket", Noting)
    monkeypatch.setattr(time, "sleep", noted.seconds.append)
    return noted


def test_it_says_no_at_once_when_redis_is_away(waits: Waits):
    assert not send("execute_run", 1, "gpu")
    assert 1 <= waits.connected <= 2 and sum(waits.seconds) <= 1


def test_it_says_no_soon_when_redis_does_not_answer(deaf_redis: None, waits: Waits):
    assert not send("execute_run", 1, "gpu")
    assert 1 <= waits.connected <= 2 and 0 < sum(waits.seconds) <= 2


def test_it_puts_a_message_on_the_queue_that_was_named(broker: str):
    assert send("execute_run", 17, "gpu")
    assert send("workers.tasks.read_upload", "a-b", "cpu")
    assert (waiting("gpu"), waiting("cpu")) == (1, 1)
