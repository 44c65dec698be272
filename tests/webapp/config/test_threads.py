"""A request has one thread from the first middleware to the last, and the next request has it again."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from django.db import connections
from django.http import HttpResponse
from django.test import override_settings
from django.urls import path

from webapp.config import threads
from webapp.config.threads import Handler

SEEN: list[tuple[str, threading.Thread]] = []
PASSED = threading.Event()


def noting(name: str):
    """Return a middleware that notes in which thread it is called, before and after the view."""
    def middleware(get_response):
        def called(request):
            SEEN.append((name, threading.current_thread()))
            response = get_response(request)
            SEEN.append((name, threading.current_thread()))
            return response
        return called
    return middleware


outer, inner = noting("outer"), noting("inner")


def quick(request):
    return HttpResponse("quick")


def slow(request):
    PASSED.wait(20)
    SEEN.append(("slow", threading.current_thread()))
    return HttpResponse("slow")


urlpatterns = [path("quick", quick), path("slow", slow)]


@pytest.fixture(autouse=True)
def _own_addresses():
    SEEN.clear()
    PASSED.clear()
    with override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=[
            f"{__name__}.outer", "django.middleware.common.CommonMiddleware", f"{__name__}.inner"]):
        yield


async def ask(handler: Handler, place: str, stays: bool = True) -> list[dict]:
    """Return what a client is sent; one that does not stay leaves as soon as it has asked."""
    sent: list[dict] = []
    messages = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive():
        if messages:
            return messages.pop()
        await asyncio.sleep(0 if not stays else 60)
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    await handler({"type": "http", "method": "GET", "path": place, "raw_path": place.encode(), "query_string": b"",
                   "headers": [(b"host", b"localhost")], "http_version": "1.1", "scheme": "http", "root_path": "",
                   "server": ("localhost", 80), "client": ("127.0.0.1", 1)}, receive, send)
    return sent


def test_one_thread_from_the_first_middleware_to_the_last_and_for_the_next_request() -> None:
    async def twice():
        handler = Handler()
        for _ in range(2):
            assert (await ask(handler, "/quick"))[1]["body"] == b"quick"
            await asyncio.sleep(0.2)

    asyncio.run(twice())
    assert [name for name, _ in SEEN] == ["outer", "inner", "inner", "outer"] * 2
    assert len({thread for _, thread in SEEN}) == 1
    assert SEEN[0][1] is not threading.main_thread()


def test_nobody_waits_behind_a_view_whose_client_has_left() -> None:
    async def one_leaves():
        handler = Handler()
        await asyncio.wait_for(ask(handler, "/slow", stays=False), 10)
        assert (await asyncio.wait_for(ask(handler, "/quick"), 10))[1]["body"] == b"quick"
        assert not any(name == "slow" for name, _ in SEEN)
        PASSED.set()

    asyncio.run(one_leaves())


def test_no_more_threads_are_kept_than_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "THREADS_KEPT", 2)
    closed = []
    monkeypatch.setattr(connections, "close_all", lambda: closed.append(threading.current_thread()))

    async def five():
        handler = Handler()
        asking = [asyncio.create_task(ask(handler, "/slow")) for _ in range(5)]
        await asyncio.sleep(0.5)
        PASSED.set()
        await asyncio.gather(*asking)
        deadline = time.monotonic() + 20
        while len(closed) < 3 and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        assert len(handler._free) == 2

    asyncio.run(five())
    assert len({thread for name, thread in SEEN if name == "slow"}) == 5
    assert len(set(closed)) == 3
