"""Refuses a request body that is too large before Django spools it to disk."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class RequestLimit:
    """An ASGI application in front of another one; answers 413 to more than `limit_bytes`."""

    def __init__(self, application: Application, limit_bytes: int) -> None:
        """Guard `application`."""
        self.application = application
        self.limit_bytes = limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it by what it declares, or end it by what it sends."""
        if scope["type"] != "http":
            await self.application(scope, receive, send)
            return
        headers = dict(scope.get("headers") or [])
        declared = headers.get(b"content-length", b"0")
        if not declared.isdigit() or int(declared) > self.limit_bytes:
            await self._refuse(send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            # A body sent without its length: the application sees the client leave.
            return message if seen <= self.limit_bytes else {"type": "http.disconnect"}

        await self.application(scope, counted, send)

    async def _refuse(self, send: Send) -> None:
        limit_megabytes = self.limit_bytes // 2**20
        body = (f'{{"error": {{"what": "request", "reason": "One request may carry at most {limit_megabytes} MB.", '
                f'"fix": "Send large files in chunks."}}}}')
        await send({"type": "http.response.start", "status": 413,
                    "headers": [(b"content-type", b"application/json"), (b"connection", b"close")]})
        await send({"type": "http.response.body", "body": body.encode()})
