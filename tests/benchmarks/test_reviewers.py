"""The people of the load bench still find what they ask for: a bench that nobody runs rots."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses

import pytest

from benchmarks import reviewers
from benchmarks.reviewers import Desk, Reviewer
from benchmarks.stopwatch import Stopwatch
from tests.webapp.server import Server, server  # noqa: F401 - a fixture, not the one of tests/webapp: here it is labelled


def test_a_person_reviews_and_nothing_goes_wrong(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    for name, value in (("THINK_SECONDS", (0.0, 0.0)), ("LOOK_SECONDS", (0.0, 0.1)), ("LIVE_SECONDS", 0.0),
                        ("TICK_SECONDS", 0.1)):
        monkeypatch.setattr(reviewers, name, value)
    cookies = {"labelfree_session": server.second}
    with server.client(server.second) as client:
        collection = client.get(f"/api/v1/runs/{server.run}").json()["collection"]
    watch = Stopwatch()
    watch.is_running = True

    async def visit() -> None:
        desk = Desk(collection=collection, images=150, run=server.run, live_run=server.run, events={})
        async with contextlib.aclosing(Reviewer(server.url, "alice", desk, watch, cookies)) as first:
            desk = dataclasses.replace(desk, events=await first.events())
        async with contextlib.aclosing(Reviewer(server.url, "alice", desk, watch, cookies)) as one:
            await one.visit()

    asyncio.run(visit())
    assert watch.wrong == []
    assert set(watch.p95_milliseconds()) >= {
        "wall", "wall, next part", "thumbnail", "result of a run", "run going on", "run going on, live part",
        "review page", "panel", "panel, open", "panel, choose", "panel, correct", "panel, what others did?"}
