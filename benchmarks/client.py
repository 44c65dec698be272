"""A client of the public API in the standard library alone, as anybody's program could be."""

from __future__ import annotations

import base64
import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

CHUNK_BYTES = 128 * 1024


class Refused(Exception):
    """The app did not do what it was asked; the message says what."""


@dataclass(frozen=True)
class Api:
    """The public API, by a token; no proxy ever stands between."""

    base: str
    token: str
    deadline: float

    def get(self, path: str) -> Any:
        """Return what a GET answers."""
        return json.loads(self._send("GET", path))

    def post(self, path: str, payload: Mapping[str, Any]) -> Any:
        """Return what a POST answers."""
        return json.loads(self._send("POST", path, json.dumps(payload).encode(), {"Content-Type": "application/json"}))

    def change(self, path: str, payload: Mapping[str, Any]) -> Any:
        """Return what a PATCH answers."""
        return json.loads(self._send("PATCH", path, json.dumps(payload).encode(), {"Content-Type": "application/json"}))

    def put(self, path: str, content: bytes, kind: str) -> Any:
        """Return what a PUT answers."""
        return json.loads(self._send("PUT", path, content, {"Content-Type": kind}))

    def download(self, path: str) -> bytes:
        """Return a file."""
        return self._send("GET", path)

    def upload(self, file: Path, collection: int) -> None:
        """Send a file by tus 1.0, chunk by chunk."""
        told = ",".join(f"{key} {base64.b64encode(value.encode()).decode()}"
                        for key, value in (("filename", file.name), ("collection", str(collection))))
        speaks = {"Tus-Resumable": "1.0.0"}
        with self._open("POST", "/uploads/", b"", {**speaks, "Upload-Metadata": told,
                                                    "Upload-Length": str(file.stat().st_size)}) as answer:
            place = urljoin(self.base, answer.headers["Location"])
        with file.open("rb") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                headers = {**speaks, "Upload-Offset": str(stream.tell() - len(chunk)),
                           "Content-Type": "application/offset+octet-stream"}
                self._send("PATCH", urlsplit(place).path, chunk, headers)

    def pause(self) -> None:
        """Wait a moment, but not for ever."""
        if time.monotonic() > self.deadline:
            raise Refused("not done within the time that was given")
        time.sleep(1)

    def _send(self, method: str, path: str, content: bytes | None = None,
              headers: Mapping[str, str] | None = None) -> bytes:
        with self._open(method, path, content, headers or {}) as answer:
            return bytes(answer.read())

    def _open(self, method: str, path: str, content: bytes | None, headers: Mapping[str, str]) -> Any:
        request = urllib.request.Request(urljoin(self.base, path), content, method=method,
                                         headers={"Authorization": f"Bearer {self.token}", **headers})
        try:
            return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60)
        except urllib.error.HTTPError as error:
            said = error.read()[:500].decode(errors="replace")
            raise Refused(f"{method} {path} was answered {error.code}: {said}") from None
