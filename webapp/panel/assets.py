"""Gradio's scripts and styles, packed and from memory.

Gradio reads them from disk at each request, 64 kB at a time, each piece by another thread, and sends them as they are:
while fifty people reviewed, a first visitor waited longer for them than anybody for anything else. Packed they are a
third as large; all of them together would take some megabytes of memory.
"""

from __future__ import annotations

import asyncio
import gzip
import mimetypes
from pathlib import Path

from gradio.route_utils import BUILD_PATH_LIB
from starlette.datastructures import Headers

from webapp.panel.guard import ASSETS, Application, Receive, Scope, Send


class Assets:
    """ASGI middleware around Gradio's application, behind the guard.

    Args:
        application: Gradio's, which answers all else, and a client that takes nothing packed.
        folder: where the files lie.
    """

    def __init__(self, application: Application, folder: Path = Path(BUILD_PATH_LIB)) -> None:
        self._application = application
        self._files = {f"{ASSETS}{one.name}": one for one in folder.iterdir() if one.is_file()}
        self._packed: dict[str, bytes] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request for a file that there is; leave every other to the application."""
        file = self._files.get(scope["path"])
        if file is None or "gzip" not in Headers(scope=scope).get("accept-encoding", ""):
            await self._application(scope, receive, send)
            return
        if file.name not in self._packed:
            self._packed[file.name] = await asyncio.to_thread(_pack, file)
        body = self._packed[file.name]
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        headers = {"content-type": kind, "content-encoding": "gzip", "content-length": str(len(body)),
                   "vary": "accept-encoding"}
        await send({"type": "http.response.start", "status": 200,
                    "headers": [(name.encode(), value.encode()) for name, value in headers.items()]})
        await send({"type": "http.response.body", "body": body})


def _pack(file: Path) -> bytes:
    return gzip.compress(file.read_bytes(), mtime=0)
