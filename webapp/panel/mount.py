"""Puts the panel beside Django in one ASGI application: ``/panel/`` goes through the guard to Gradio."""

from __future__ import annotations

import os
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

import gradio as gr
from django.conf import settings
from fastapi import FastAPI, Request

from webapp.panel.app import HEAD, THEME, build
from webapp.panel.assets import Assets
from webapp.panel.forgetting import Forgetting
from webapp.panel.guard import USER_KEY, Application, Guard, Receive, Scope, Send
from webapp.panel.loops import within_a_loop
from webapp.panel.sessions import SessionOwners

PATH = "/panel"


def mount(django_application: Any) -> Application:
    """Return one ASGI application that answers the panel's paths by Gradio and all others by Django."""
    prefix = settings.FORCE_SCRIPT_NAME or ""
    parent = within_a_loop(lambda: gradio_application(prefix))
    panel = Guard(Assets(_below(parent, prefix)), SessionOwners())

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await parent(scope, receive, send)
            return
        path = scope["path"].removeprefix(prefix) if prefix else scope["path"]
        if scope["type"] == "http" and path == PATH:
            await _to_the_slash(scope, send, f"{prefix}{PATH}/")
        elif path.startswith(f"{PATH}/"):
            await panel({**scope, "path": path.removeprefix(PATH), "full_path": f"{prefix}{path}"}, receive, send)
        else:
            await django_application(scope, receive, send)

    return application


def gradio_application(prefix: str) -> FastAPI:
    """Return an application that answers the panel's paths and knows its address below a proxy's prefix."""
    parent, blocks = FastAPI(docs_url=None, redoc_url=None, openapi_url=None), build()
    parent.add_middleware(Forgetting, blocks=blocks)
    return gr.mount_gradio_app(
        parent, blocks, path=PATH, root_path=f"{prefix}{PATH}", auth_dependency=_username,
        allowed_paths=[], blocked_paths=[str(settings.HOME)], show_error=False, max_file_size="1kb",
        enable_monitoring=False, run_history=False, ssr_mode=False, pwa=False, mcp_server=False, footer_links=[],
        app_kwargs={"docs_url": None, "redoc_url": None, "openapi_url": None},
        theme=THEME, head=HEAD)


def _below(parent: FastAPI, prefix: str) -> Application:
    """Return Gradio's application, called with paths relative to the panel."""
    async def panel(scope: Scope, receive: Receive, send: Send) -> None:
        path = f"{prefix}{PATH}{scope['path']}"
        await parent({**scope, "path": path, "raw_path": path.encode(), "root_path": prefix}, receive, send)

    return panel


def _username(request: Request) -> str | None:
    """Return the id that the guard found, as Gradio's user name."""
    user_id = request.scope.get(USER_KEY)
    return None if user_id is None else str(user_id)


async def _to_the_slash(scope: Scope, send: Send, url: str) -> None:
    query = scope["query_string"].decode("latin-1")
    location = f"{url}?{query}" if query else url
    await send({"type": "http.response.start", "status": 302, "headers": [(b"location", location.encode("latin-1"))]})
    await send({"type": "http.response.body", "body": b""})
