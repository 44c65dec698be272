"""The door in front of Gradio: who may pass, by which routes, from which pages, with whose session.

Gradio's own `auth_dependency` leaves several routes open and checks no origin, so nothing reaches it
but what this list names:

- nobody: 302 to the sign-in page for a page, 401 for everything else;
- a route that the panel does not use (uploads, ``file=``, ``proxy=``, monitoring, streams, ``call``, the queue,
  ``cancel``, components' server functions …): 404, whoever asks;
- a foreign ``Origin``, or an unsafe request that a browser does not mark as our own: 403;
- a session hash that another user showed first: 403;
- the database is away: 503, whoever asks with a session.

The user's id is put into the ASGI scope under `USER_KEY`; Gradio hands it on as ``request.username``.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from importlib import import_module
from typing import Any
from urllib.parse import parse_qs, quote

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import get_user
from django.core.exceptions import DisallowedHost
from django.core.handlers.asgi import ASGIRequest
from django.db import InterfaceError, OperationalError
from django.shortcuts import resolve_url

from webapp.config.headers import PANEL_POLICY
from webapp.config.threads import close_broken_connections, look_after_connections
from webapp.panel.sessions import SessionOwners

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

USER_KEY = "labelfree_user_id"
REFUSED_KEY = "labelfree_refused"
"""A list in the ASGI scope: a handler that refuses an event leaves its reason there, for Gradio answers 500 to both
what is refused and what fails."""
BODY_BYTES = 1024 * 1024
"""The largest event: a lasso around tens of thousands of images, by number."""
SAFE_METHODS = ("GET", "HEAD")
HASH = r"[A-Za-z0-9_-]{1,64}"
OPEN_ROUTES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("GET", re.compile(r"/")),
    ("HEAD", re.compile(r"/")),
    ("GET", re.compile(r"/(config|theme\.css|favicon\.ico|manifest\.json)")),
    ("GET", re.compile(r"/(assets|static|svelte)/[A-Za-z0-9_@./-]+")),
    ("GET", re.compile(r"/gradio_api/(app_id|info|startup-events|theme\.css)/?")),
    ("GET", re.compile(rf"/gradio_api/heartbeat/{HASH}")),
    ("POST", re.compile(r"/gradio_api/(run/[a-z_0-9]{1,40}|reset)/?")),
)
"""Everything that the panel's page asks for, and nothing else."""
HEARTBEAT = "/gradio_api/heartbeat/"
REFUSED_QUERIES = ("deep_link",)
"""Makes Gradio read a file of its cache, named by the address."""
HEADERS = {
    "content-security-policy": PANEL_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
ASSETS = "/assets/"
LASTING = {**HEADERS, "cache-control": "private, max-age=31536000, immutable"}
"""Of `ASSETS`, whose names hold a hash of their content: else a browser asks for each of them again at every visit."""


class Refused(Exception):
    """A request that goes no further; carries the answer's status and one line for a person."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Guard:
    """ASGI middleware around Gradio's application, which it calls with the mount's path taken off.

    Args:
        application: Gradio's.
        owners: whose session hash is whose.
    """

    def __init__(self, application: Application, owners: SessionOwners) -> None:
        self._application = application
        self._owners = owners

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or answer it here. `scope["path"]` is relative to the panel ("/", "/config")."""
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        try:
            try:
                user_id = await self._user_id(scope)
            except (OperationalError, InterfaceError) as error:
                raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "The database does not answer.") from error
            if user_id is None:
                await _answer_nobody(scope, send)
                return
            _check_route(scope)
            _check_origin(scope)
            receive = await self._check_session(scope, receive, user_id)
        except Refused as refused:
            await _answer(send, refused.status, refused.reason)
            return
        refusals: list[str] = []
        await self._application({**scope, USER_KEY: user_id, REFUSED_KEY: refusals}, receive,
                                _with_headers(send, scope["path"], refusals))

    async def _user_id(self, scope: Scope) -> int | None:
        return await sync_to_async(signed_in_user_id, thread_sensitive=False)(scope)

    async def _check_session(self, scope: Scope, receive: Receive, user_id: int) -> Receive:
        """Bind the session hash of this request to its user; return a `receive` that still has the body."""
        if scope["method"] not in SAFE_METHODS:
            body = await _read(receive)
            session_hash = _session_hash(body)
            receive = _replay(body, receive)
        elif scope["path"].startswith(HEARTBEAT):
            session_hash = scope["path"].removeprefix(HEARTBEAT)
        else:
            return receive
        if not re.fullmatch(HASH, session_hash):
            raise Refused(HTTPStatus.BAD_REQUEST, "This request names no session.")
        if not self._owners.claim(session_hash, user_id):
            raise Refused(HTTPStatus.FORBIDDEN, "This session belongs to somebody else.")
        return receive


def signed_in_user_id(scope: Scope) -> int | None:
    """Return who is signed in by Django's session cookie, or None. Keeps no connection beyond its time."""
    request = _request(scope)
    session_key = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
    if not session_key:
        return None
    look_after_connections()
    try:
        request.session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
        user = get_user(request)
        return int(user.pk) if user.is_authenticated and user.is_active else None
    finally:
        close_broken_connections()


def _request(scope: Scope) -> ASGIRequest:
    return ASGIRequest(dict(scope), io.BytesIO())


def _check_route(scope: Scope) -> None:
    path, method = scope["path"], scope["method"]
    known = any(method == allowed and pattern.fullmatch(path) for allowed, pattern in OPEN_ROUTES)
    query = parse_qs(scope["query_string"].decode("latin-1"))
    if not known or ".." in path.split("/") or any(name in query for name in REFUSED_QUERIES):
        raise Refused(HTTPStatus.NOT_FOUND, "Nothing here.")


def _check_origin(scope: Scope) -> None:
    """Refuse what another site's page sends: any request with a foreign origin, any unsafe one not known as ours."""
    request = _request(scope)
    try:
        own = f"{request.scheme}://{request.get_host()}"
    except DisallowedHost as error:
        raise Refused(HTTPStatus.BAD_REQUEST, "This host name is not one of ours.") from error
    origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
    if origin is not None and origin != own and origin not in settings.CSRF_TRUSTED_ORIGINS:
        raise Refused(HTTPStatus.FORBIDDEN, "This request comes from another site.")
    if request.method in SAFE_METHODS:
        if site in ("cross-site", "same-site") and request.headers.get("Sec-Fetch-Mode") != "navigate":
            raise Refused(HTTPStatus.FORBIDDEN, "This request comes from another site.")
        return
    if site not in (None, "same-origin", "none") or (origin is None and site != "same-origin"):
        raise Refused(HTTPStatus.FORBIDDEN, "This request does not say that it comes from our own page.")


async def _read(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(HTTPStatus.BAD_REQUEST, "The request broke off.")
        body += message.get("body", b"")
        if len(body) > BODY_BYTES:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "This request is too large.")
        if not message.get("more_body"):
            return body


def _replay(body: bytes, receive: Receive) -> Receive:
    pending = [body]

    async def replayed() -> Message:
        if pending:
            return {"type": "http.request", "body": pending.pop(), "more_body": False}
        return await receive()

    return replayed


def _session_hash(body: bytes) -> str:
    try:
        sent = json.loads(body)
    except ValueError as error:
        raise Refused(HTTPStatus.BAD_REQUEST, "This request is not JSON.") from error
    session_hash = sent.get("session_hash") if isinstance(sent, dict) else None
    return session_hash if isinstance(session_hash, str) else ""


def _with_headers(send: Send, path: str, refusals: list[str]) -> Send:
    """Return a `send` that sets our headers, takes away Gradio's leave for other sites to read, and answers 422.

    The status is 422 where there is something in `refusals`; what is found below `ASSETS` may be kept.
    """
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            if refusals:
                message = {**message, "status": int(HTTPStatus.UNPROCESSABLE_ENTITY)}
            headers = LASTING if path.startswith(ASSETS) and message["status"] == HTTPStatus.OK else HEADERS
            kept = [(name, value) for name, value in message.get("headers", [])
                    if name.lower().decode("latin-1") not in headers
                    and not name.lower().startswith(b"access-control-")]
            ours = [(name.encode(), value.encode()) for name, value in headers.items()]
            message = {**message, "headers": [*kept, *ours]}
        await send(message)

    return sent


async def _answer_nobody(scope: Scope, send: Send) -> None:
    request = _request(scope)
    if request.method == "GET" and scope["path"] == "/" and "text/html" in request.headers.get("Accept", ""):
        asked = quote(scope.get("full_path", "") + "?" + scope["query_string"].decode("latin-1"))
        await _answer(send, HTTPStatus.FOUND, "Sign in first.", {
            "location": f"{sign_in_url()}?next={asked}"})
        return
    await _answer(send, HTTPStatus.UNAUTHORIZED, "Sign in first.")


def sign_in_url() -> str:
    """Return the address of the sign-in page, below the prefix a proxy may put in front."""
    url = resolve_url(settings.LOGIN_URL)
    prefix = settings.FORCE_SCRIPT_NAME or ""
    return url if url.startswith(f"{prefix}/") else f"{prefix}{url}"


async def _answer(send: Send, status: HTTPStatus, reason: str, headers: dict[str, str] | None = None) -> None:
    every = {"content-type": "text/plain; charset=utf-8", "cache-control": "no-store", **HEADERS, **(headers or {})}
    await send({"type": "http.response.start", "status": int(status),
                "headers": [(name.encode(), value.encode()) for name, value in every.items()]})
    await send({"type": "http.response.body", "body": reason.encode()})
