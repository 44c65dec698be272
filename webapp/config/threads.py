"""Django's ASGI handler with one thread for a whole request, which is kept, with its connection, for the next.

Django's own goes to a thread and back for each middleware, and gives each request a new thread and so a new
connection; with fifty people at work, that was most of what the web did.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.db import connections
from django.http import HttpRequest
from django.http.response import HttpResponseBase

THREADS_KEPT = 16
"""With so many connections; more requests at once have threads of their own, which end with them."""
CONNECTION_SECONDS = 300


class Handler(ASGIHandler):
    """Answers requests by synchronous middleware and views, each request in one thread."""

    def __init__(self) -> None:
        self._free: deque[ThreadPoolExecutor] = deque()
        super().__init__()

    def load_middleware(self, is_async: bool = False) -> None:
        """Build the chain as for WSGI: without a hop between one middleware and the next."""
        super().load_middleware(is_async=False)

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        """Go through the whole chain in the request's thread."""
        return await sync_to_async(self.get_response, thread_sensitive=True)(request)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request with a thread that is free, or a new one."""
        try:
            thread = self._free.pop()
        except IndexError:
            thread = ThreadPoolExecutor(1, thread_name_prefix="request")
        try:
            async with ThreadSensitiveContext(executor=thread):
                await super().__call__(scope, receive, send)
        finally:
            thread.submit(self._give_back, thread)  # comes after a view that goes on though its client has left

    def _give_back(self, thread: ThreadPoolExecutor) -> None:
        """Keep the thread in which this is called for the next request, or let it end."""
        if len(self._free) < THREADS_KEPT:
            self._free.append(thread)
        else:
            connections.close_all()
            thread.shutdown(wait=False)


def keep_connections() -> None:
    """Let this process keep its connections to the database, each tried before a request uses it again."""
    for one in connections.settings.values():
        one.update(CONN_MAX_AGE=CONNECTION_SECONDS, CONN_HEALTH_CHECKS=True)
