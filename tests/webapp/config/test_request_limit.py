"""Requests that are too large are refused before anything is spooled to disk."""

from __future__ import annotations

import asyncio

import pytest

from webapp.config.request_limit import RequestLimit


def ask(headers: list[tuple[bytes, bytes]], pieces: list[bytes], kind: str = "http",
        **address: object) -> tuple[list[dict], list[dict]]:
    """Return what the application was given and what the client was answered."""
    given: list[dict] = []
    answered: list[dict] = []

    async def application(scope, receive, send):
        while True:
            message = await receive()
            given.append(message)
            if message["type"] != "http.request" or not message.get("more_body"):
                break
        await send({"type": "http.response.start", "status": 200, "headers": []})

    messages = iter([{"type": "http.request", "body": piece, "more_body": index < len(pieces) - 1}
                     for index, piece in enumerate(pieces)])

    async def receive():
        return next(messages)

    async def send(message):
        answered.append(message)

    asyncio.run(RequestLimit(application, 10)({"type": kind, "headers": headers, **address}, receive, send))
    return given, answered


def test_a_small_request_passes_whole():
    given, answered = ask([(b"content-length", b"10")], [b"01234", b"56789"])
    assert b"".join(message["body"] for message in given) == b"0123456789"
    assert answered[0]["status"] == 200


@pytest.mark.parametrize("length", [b"11", b"-1", b"many", b"9" * 5000])
def test_what_declares_too_much_is_refused_unread(length):
    given, answered = ask([(b"content-length", length)], [b"0" * 11])
    assert given == []
    assert answered[0]["status"] == 413
    assert b"chunks" in answered[1]["body"]


@pytest.mark.parametrize("address", [{"path": "/a\0b"}, {"path": "/", "query_string": b"find=%00"}])
def test_an_address_with_a_nul_is_refused(address):
    given, answered = ask([], [b""], **address)
    assert given == []
    assert answered[0]["status"] == 400
    assert b"NUL" in answered[1]["body"]


def test_what_sends_too_much_without_saying_so_is_cut_off():
    given, _ = ask([], [b"01234", b"56789", b"!"])
    assert given[-1] == {"type": "http.disconnect"}
    assert sum(len(message.get("body", b"")) for message in given) == 10
