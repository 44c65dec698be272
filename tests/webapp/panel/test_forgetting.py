"""Gradio's own application is asked again and again: what it remembers does not grow."""

from __future__ import annotations

import asyncio
from typing import Any

import gradio as gr
import httpx
import pytest

from webapp.panel import access
from webapp.panel.guard import REFUSED_KEY, USER_KEY
from webapp.panel.loops import within_a_loop
from webapp.panel.mount import gradio_application

SHOW = {"fn_index": 0, "session_hash": "abc", "data": ["{}", "", None, "all", "Anyone", "Least sure first", 0, 100]}


def _blocks(application: Any) -> gr.Blocks:
    return next(one.app.get_blocks() for one in application.routes if hasattr(getattr(one, "app", None), "get_blocks"))


def test_nothing_that_was_made_for_an_answer_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("look_after_connections", "close_broken_connections"):
        monkeypatch.setattr(access, name, lambda: None)
    application = within_a_loop(lambda: gradio_application(""))
    sessions = _blocks(application).state_holder.session_data

    async def guarded(scope: Any, receive: Any, send: Any) -> None:
        await application({**scope, USER_KEY: "nobody", REFUSED_KEY: []}, receive, send)

    async def ask(times: int) -> int:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(guarded), base_url="http://test") as client:
            for _ in range(times):
                answer = await client.post("/panel/gradio_api/run/show?run=1", json=SHOW)
                assert answer.json()["data"][-1]["choices"] == []  # a menu, made anew
        return sum(len(one.blocks_config.blocks) + len(one.config_values) for one in sessions.values())

    few = asyncio.run(ask(3))
    assert few > 0
    assert asyncio.run(ask(50)) == few


def test_few_open_pages_are_remembered() -> None:
    assert _blocks(within_a_loop(lambda: gradio_application(""))).state_holder.capacity <= 100
