"""Refuses what no view should see: a body too large, before Django spools it to disk, and an address with a NUL."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class RequestLimit:
    """An ASGI application in front of another one; answers 413 to more than `limit_bytes`, 400 to a NUL.

    Postgres, unlike SQLite, stores and compares no text with a NUL in it, and no address of ours has one.
    """

    def __init__(self, application: Application, limit_bytes: int) -> None:
        """Guard `application`."""
        self.application = application
        self.limit_bytes = limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it by what it declares, or end it by what it sends."""
        if scope["type"] != "http":
            await self.application(scope, receive, send)
            return
        if "\0" in scope.get("path", "") or b"%00" in scope.get("query_string", b""):
            await self._refuse(send, 400, "address", "It holds a NUL character.", "Leave %00 out.")
            return
        headers = dict(scope.get("headers") or [])
        declared = headers.get(b"content-length", b"0")
        if not declared.isdigit() or len(declared) > 18 or int(declared) > self.limit_bytes:
            await self._refuse(send, 413, "request", f"One request may carry at most {self.limit_bytes // 2**20} MB.",
                               "Send large files in chunks.")
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            # A body sent without its length: the application sees the client leave.
            return message if seen <= self.limit_bytes else {"type": "http.disconnect"}

        await self.application(scope, counted, send)

    async def _refuse(self, send: Send, status: int, what: str, reason: str, fix: str) -> None:
        body = json.dumps({"error": {"what": what, "reason": reason, "fix": fix}})
        await send({"type": "http.response.start", "status": status,
                    "headers": [(b"content-type", b"application/json"), (b"connection", b"close")]})
        await send({"type": "http.response.body", "body": body.encode()})
