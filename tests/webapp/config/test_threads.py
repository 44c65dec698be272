"""A request has one thread from the first middleware to the last, and the next request has it again."""

from __future__ import annotations

import asyncio
import threading

import pytest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connection, connections
from django.http import HttpResponse
from django.test import override_settings
from django.urls import get_script_prefix, path

from webapp.config import threads
from webapp.config.threads import Handler

SEEN: list[tuple[str, threading.Thread]] = []
HELD: list[object] = []
BEGUN = threading.Event()
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
    BEGUN.set()
    PASSED.wait(20)
    SEEN.append(("slow", threading.current_thread()))
    return HttpResponse("slow")


def connected(request):
    """Answer by the number of this thread's connection."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    HELD.append(connection.connection)  # so that no other gets its number
    return HttpResponse(str(id(connection.connection)))


def broken(request):
    """Break this thread's connection, as a database that is restarted does."""
    answer = connected(request)
    connection.connection.close()
    connection.errors_occurred = True
    return answer


def prefix(request):
    return HttpResponse(get_script_prefix())


urlpatterns = [path("quick", quick), path("slow", slow), path("connected", connected), path("broken", broken),
               path("prefix", prefix), path("media/slow", slow)]


@pytest.fixture(autouse=True)
def _own_addresses():
    SEEN.clear()
    HELD.clear()
    BEGUN.clear()
    PASSED.clear()
    with override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=[
            f"{__name__}.outer", "django.middleware.common.CommonMiddleware", f"{__name__}.inner"]):
        yield


async def begun() -> None:
    """Wait until the slow view has begun."""
    assert await asyncio.to_thread(BEGUN.wait, 20)


async def ask(handler: Handler, place: str, stays: bool = True) -> list[dict]:
    """Return what a client is sent; one that does not stay leaves as soon as the slow view has begun."""
    sent: list[dict] = []
    messages = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive():
        if messages:
            return messages.pop()
        await (asyncio.sleep(60) if stays else begun())
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


def test_a_view_knows_the_prefix_that_a_proxy_puts_in_front() -> None:
    with override_settings(FORCE_SCRIPT_NAME="/photographs"):
        assert asyncio.run(ask(Handler(), "/photographs/prefix"))[1]["body"] == b"/photographs/"


def test_nobody_waits_behind_a_view_whose_client_has_left() -> None:
    async def one_leaves():
        handler = Handler()
        await asyncio.wait_for(ask(handler, "/slow", stays=False), 10)
        assert (await asyncio.wait_for(ask(handler, "/quick"), 10))[1]["body"] == b"quick"
        assert not any(name == "slow" for name, _ in SEEN)
        PASSED.set()

    asyncio.run(one_leaves())


def test_more_requests_than_threads_wait_for_one_and_are_all_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "THREADS", 2)

    async def five():
        handler = Handler()
        asking = [asyncio.create_task(ask(handler, "/slow")) for _ in range(5)]
        await begun()
        await asyncio.sleep(0.5)
        assert len([name for name, _ in SEEN if name == "inner"]) == 2
        PASSED.set()
        assert [answer[1]["body"] for answer in await asyncio.gather(*asking)] == [b"slow"] * 5

    asyncio.run(five())
    assert len({thread for _, thread in SEEN}) == 2


def test_nobody_waits_behind_pictures() -> None:
    async def many():
        handler = Handler()
        asking = [asyncio.create_task(ask(handler, "/media/slow")) for _ in range(threads.THREADS + 8)]
        await begun()
        assert (await asyncio.wait_for(ask(handler, "/quick"), 10))[1]["body"] == b"quick"
        assert not any(name == "slow" for name, _ in SEEN)
        PASSED.set()
        assert [answer[1]["body"] for answer in await asyncio.gather(*asking)] == [b"slow"] * (threads.THREADS + 8)

    asyncio.run(many())
    assert len({thread for name, thread in SEEN if name == "slow"}) == threads.PICTURE_THREADS


@pytest.mark.django_db(transaction=True)
def test_a_thread_keeps_its_connection_and_gives_up_one_that_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "THREADS", 1)
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", threads.CONNECTION_SECONDS)
    monkeypatch.setitem(connections.settings["default"], "CONN_HEALTH_CHECKS", True)

    async def four() -> list[bytes]:
        handler = Handler()
        try:
            return [(await ask(handler, place))[1]["body"]
                    for place in ("/connected", "/connected", "/broken", "/connected")]
        finally:
            handler._threads.submit(connections.close_all).result()

    request_started.disconnect(close_old_connections)
    request_finished.disconnect(close_old_connections)
    try:
        first, second, broken_one, after = asyncio.run(four())
    finally:
        request_started.connect(close_old_connections)
        request_finished.connect(close_old_connections)
    assert first == second == broken_one != after


@pytest.mark.django_db(transaction=True)
def test_a_connection_is_tried_again_after_a_while_and_not_for_each_request(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []
    monkeypatch.setattr(type(connections["default"]), "is_usable", lambda self: tried.append(self) or True)
    monkeypatch.setattr(threads, "THREADS", 1)
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", threads.CONNECTION_SECONDS)
    monkeypatch.setitem(connections.settings["default"], "CONN_HEALTH_CHECKS", True)

    async def seven() -> list[int]:
        handler = Handler()
        counts = []
        try:
            for seconds in (60.0, 60.0, 60.0, 60.0, 0.0, 0.0, 60.0):
                monkeypatch.setattr(threads, "TRIED_SECONDS", seconds)
                await ask(handler, "/connected")
                counts.append(len(tried))
            return counts
        finally:
            handler._threads.submit(connections.close_all).result()

    request_started.disconnect(close_old_connections)
    request_finished.disconnect(close_old_connections)
    try:
        counts = asyncio.run(seven())
    finally:
        request_started.connect(close_old_connections)
        request_finished.connect(close_old_connections)
    assert counts == [0, 1, 1, 1, 2, 3, 3]  # the first one is new
