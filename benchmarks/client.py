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


def say(line: str) -> None:
    """Tell the person."""
    print(line, flush=True)


class Refused(Exception):
    """The app did not do what it was asked; the message says what.

    Attributes:
        status: of its answer, 0 where there was none.
        said: its own words.
    """

    def __init__(self, message: str, status: int = 0, said: str = "") -> None:
        super().__init__(message)
        self.status, self.said = status, said


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

    def headers(self, method: str, path: str, content: bytes | None, headers: Mapping[str, str]) -> Mapping[str, str]:
        """Return the headers of an answer."""
        with self._open(method, path, content, headers) as answer:
            answer.read()
            return dict(answer.headers)

    def upload(self, file: Path, collection: int, chunk_bytes: int = CHUNK_BYTES) -> None:
        """Send a file by tus 1.0, chunk by chunk."""
        told = ",".join(f"{key} {base64.b64encode(value.encode()).decode()}"
                        for key, value in (("filename", file.name), ("collection", str(collection))))
        speaks = {"Tus-Resumable": "1.0.0"}
        with self._open("POST", "/uploads/", b"", {**speaks, "Upload-Metadata": told,
                                                    "Upload-Length": str(file.stat().st_size)}) as answer:
            place = urljoin(self.base, answer.headers["Location"])
        with file.open("rb") as stream:
            while chunk := stream.read(chunk_bytes):
                headers = {**speaks, "Upload-Offset": str(stream.tell() - len(chunk)),
                           "Content-Type": "application/offset+octet-stream"}
                self._send("PATCH", urlsplit(place).path, chunk, headers)

    def send_images(self, name: str, archive: Path, count: int, *, mirror: bool = True) -> int:
        """Make a collection, send the archive in chunks, wait until a worker has read it; return the collection's id.

        Raises:
            Refused: not all `count` images arrived.
        """
        collection = int(self.post("/api/v1/collections", {"name": name, "mirror": mirror})["id"])
        self.upload(archive, collection)
        say(f"Sent {count:,} images ({archive.stat().st_size / 1024:.0f} kB) in chunks; a worker reads them …")
        while True:
            state = self.get(f"/api/v1/collections/{collection}")
            if not state["pending_upload_count"]:
                break
            self.pause()
        if state["images"] != count or state["refusal_count"]:
            raise Refused(f"{state['images']} of {count} images arrived; refused: {state['refusals'][:3]}")
        return collection

    def watch(self, title: str, run: int) -> dict[str, Any]:
        """Show a run's progress until it ends; return it, with the last rate that was seen.

        Raises:
            Refused: it failed or was cancelled.
        """
        shown, shown_at, rate = "", 0.0, None
        while True:
            state = self.get(f"/api/v1/runs/{run}")
            if state["status"] not in ("queued", "running", "paused"):
                break
            rate = state["images_per_second"] or rate
            left = f", about {state['seconds_left']:.0f} s left" if state["seconds_left"] else ""
            line = f"  {title}: {state['stage'] or state['status']}"
            if line != shown or time.monotonic() - shown_at > 10:
                say(f"{line} · {state['percent']} %{left}{' · ' + state['notice'] if state['notice'] else ''}")
                shown, shown_at = line, time.monotonic()
            self.pause()
        if state["status"] != "succeeded":
            raise Refused(f"{title} {state['status']}: {state['error']}")
        say(f"  {title}: done")
        return state | {"images_per_second": rate}

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
            raise Refused(f"{method} {path} was answered {error.code}: {said}", error.code, said) from None
