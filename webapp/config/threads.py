"""Django's ASGI handler with a pool of threads, each with its connection, that answers a request in one of them.

Django's own goes to a thread and back for each middleware, and gives each request a new thread and so a new
connection, as many as there are requests; with fifty people at work, that was most of what the web did.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connections, reset_queries
from django.http import HttpRequest
from django.http.response import HttpResponseBase

THREADS = 12
"""Each has a connection to the database; so have the threads of pictures, of the panel's events (`webapp.panel.app`)
and of its guard (asyncio's own: four more than cores, 32 at most). More requests at once wait for a thread; six and 24
answered fifty people on SQLite as fast, as far as could be told. A view that waits for a bucket, or for SQLite's one
writer, holds one."""
PICTURES = "/media/"
PICTURE_THREADS = 2
"""A page asks for sixty pictures, and fifty people open pages: what somebody does meanwhile is not to wait behind them.
Two, for the interpreter lets one thread compute at a time; on Postgres pictures may wait for them
(docs/decisions.md, 2026-11-30)."""
CONNECTION_SECONDS = 300
TRIED_SECONDS = 1.0
"""For so long a connection that was tried is taken to be whole. Should it break meanwhile, one request of its thread is
told that the database is away, and the next has a new connection."""
TRIED_AT = "labelfree_tried_at"
"""The attribute of a connection that says when, by `time.monotonic`."""


class Handler(ASGIHandler):
    """Answers requests by synchronous middleware and views, each request in one thread."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="request")
        self._picture_threads = ThreadPoolExecutor(PICTURE_THREADS, thread_name_prefix="picture")
        super().__init__()

    def load_middleware(self, is_async: bool = False) -> None:
        """Build the chain as for WSGI: without a hop between one middleware and the next."""
        super().load_middleware(is_async=False)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        await self.handle(scope, receive, send)

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        """Go through the whole chain in one thread; a view goes on there though its client has left."""
        # A token's use is written down, and may wait for SQLite's one writer: those who ask by one hold nobody up.
        is_picture = request.path_info.startswith(PICTURES) and "Authorization" not in request.headers
        threads = self._picture_threads if is_picture else self._threads
        return await sync_to_async(self._answer, thread_sensitive=False, executor=threads)(request)

    def _answer(self, request: HttpRequest) -> HttpResponseBase:
        """Answer with a connection that is whole, and leave none that is not."""
        look_after_connections()
        try:
            return self.get_response(request)
        finally:
            close_broken_connections()


def close_broken_connections() -> None:
    """Close this thread's connections if they are broken or old."""
    for one in connections.all(initialized_only=True):
        one.close_if_unusable_or_obsolete()


def look_after_connections() -> None:
    """Close this thread's connections if they are broken or old; let one be tried again if that was a while ago.

    Django's own, which it stands in for, has each request try its connection first: a question more for each picture.
    """
    close_broken_connections()
    for one in connections.all(initialized_only=True):
        now = time.monotonic()
        if now - getattr(one, TRIED_AT, -TRIED_SECONDS) < TRIED_SECONDS:
            one.health_check_done = True
        else:
            setattr(one, TRIED_AT, now)


def keep_connections() -> None:
    """Let each thread keep its connection to the database, tried again at most once in `TRIED_SECONDS`.

    `Handler` looks after them where the request is answered; Django would in another thread.
    """
    for one in connections.settings.values():
        one.update(CONN_MAX_AGE=CONNECTION_SECONDS, CONN_HEALTH_CHECKS=True)
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    request_started.disconnect(reset_queries)
