"""A client that does not give up: it asks again while the web is away, and looks before it asks for something twice."""

from __future__ import annotations

import base64
import hashlib
import http.client
import time
import urllib.error
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

from benchmarks.client import Api, Refused

AnswerT = TypeVar("AnswerT")
PAUSE_SECONDS = 0.5
TRY_AGAIN = (408, 409, 423, 429, 500, 502, 503, 504, 507)
"""Answers after which the same may work later; a 409 of an upload says that its offset has to be asked for."""
LOST = (urllib.error.URLError, ConnectionError, TimeoutError, http.client.HTTPException)
TUS = {"Tus-Resumable": "1.0.0"}


@dataclass
class Patient:
    """The public API for someone with time.

    Attributes:
        api: the client that does give up.
        limit_seconds: after which this one does too.
        answers: how often each status of `TRY_AGAIN` was met, and 0 for no answer at all.
        words: the last words that came with each.
    """

    api: Api
    limit_seconds: float = 300.0
    answers: Counter[int] = field(default_factory=Counter)
    words: dict[int, str] = field(default_factory=dict)

    def get(self, path: str) -> Any:
        """Return what a GET answers."""
        return self.again(lambda: self.api.get(path))

    def post(self, path: str, payload: Mapping[str, Any], made: Callable[[], Any]) -> Any:
        """Return what a POST answers; whether one whose answer was lost has been done, `made` finds out.

        Args:
            path: where to post.
            payload: what to post.
            made: returns what the post was to make, or None while there is no such thing.
        """
        def once() -> Any:
            found = made()
            return self.api.post(path, payload) if found is None else found

        return self.again(once)

    def change(self, path: str, payload: Mapping[str, Any]) -> Any:
        """Return what a PATCH answers."""
        return self.again(lambda: self.api.change(path, payload))

    def download(self, path: str) -> bytes:
        """Return a file."""
        return self.again(lambda: self.api.download(path))

    def again(self, ask: Callable[[], AnswerT]) -> AnswerT:
        """Return what `ask` returns, once it does.

        Raises:
            Refused: in a way that no waiting mends, or for too long.
        """
        deadline = time.monotonic() + self.limit_seconds
        while True:
            try:
                return ask()
            except Refused as refused:
                if refused.status not in TRY_AGAIN or time.monotonic() > deadline:
                    raise
                self.answers[refused.status] += 1
                self.words[refused.status] = refused.said
            except LOST as error:
                if time.monotonic() > deadline:
                    raise Refused(f"no answer for {self.limit_seconds:.0f} s ({error})") from error
                self.answers[0] += 1
            time.sleep(PAUSE_SECONDS)


@dataclass(kw_only=True)
class Sending:
    """One file on its way by tus 1.0, which goes on wherever the server says that it is.

    Attributes:
        file: what is sent.
        collection: where it goes.
        chunk_bytes: in one request.
        pause_seconds: between two.
        sent_bytes: in all requests, those included that did not arrive.
        place: its address, once it is announced.
    """

    patient: Patient
    file: Path
    collection: int
    chunk_bytes: int = 4 * 2**20
    pause_seconds: float = 0.0
    name: str = ""
    sent_bytes: int = 0
    place: str = ""

    def run(self) -> None:
        """Announce the file, and send it to its end.

        Raises:
            Refused: nothing more arrives, for longer than the patient waits.
        """
        self.announce()
        size, at, moved_at = self.file.stat().st_size, 0, time.monotonic()
        with self.file.open("rb") as stream:
            while at < size:
                stream.seek(at)
                before, at = at, self._step(stream.read(self.chunk_bytes), at)
                if at > before:
                    moved_at = time.monotonic()
                elif time.monotonic() - moved_at > self.patient.limit_seconds:
                    raise Refused(f"{self.file.name} stays at byte {at} of {size}: {self.patient.words}")
                if self.pause_seconds:
                    time.sleep(self.pause_seconds)

    def announce(self) -> None:
        """Tell name, size, time and content; told again, the server gives the same address again."""
        stat = self.file.stat()
        told = {"filename": self.name or self.file.name, "collection": str(self.collection),
                "modified": str(int(stat.st_mtime * 1000)), "sha256": digest(self.file)}
        words = ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in told.items())
        self.place = self.patient.again(lambda: self._headers(
            "POST", "/uploads/", b"", {"Upload-Metadata": words, "Upload-Length": str(stat.st_size)})["Location"])

    def arrived(self) -> int:
        """Return how far the server says it is."""
        return self.patient.again(lambda: int(self._headers("HEAD", self.place, None, {})["Upload-Offset"]))

    def _step(self, chunk: bytes, at: int) -> int:
        """Send one chunk; return where to go on, which the server is asked for when the answer was lost."""
        self.sent_bytes += len(chunk)
        try:
            return int(self._headers("PATCH", self.place, chunk, {
                "Upload-Offset": str(at), "Content-Type": "application/offset+octet-stream"})["Upload-Offset"])
        except Refused as refused:
            if refused.status not in TRY_AGAIN:
                raise
            self.patient.answers[refused.status] += 1
            self.patient.words[refused.status] = refused.said
        except LOST:
            self.patient.answers[0] += 1
        time.sleep(PAUSE_SECONDS)
        return self.arrived()

    def _headers(self, method: str, path: str, content: bytes | None, headers: Mapping[str, str]) -> Mapping[str, str]:
        place = urlsplit(urljoin(self.patient.api.base, path)).path
        answered: Mapping[str, str] = self.patient.api.headers(method, place, content, {**TUS, **headers})
        return answered


def digest(file: Path) -> str:
    """Return a file's SHA-256."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
