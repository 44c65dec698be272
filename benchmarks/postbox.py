"""Where a house's notices arrive: an HTTP server on this machine that keeps what was posted to it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WAIT_SECONDS = 200.0
"""A notice whose message was lost is sent again by the reaper after at most two minutes."""


class Postbox(ThreadingHTTPServer):
    """Takes notices.

    Attributes:
        notices: run, its end and the notice's own number, for each that came.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Slot)
        self.notices: list[tuple[int, str, str]] = []

    @property
    def address(self) -> str:
        """Return where to post."""
        return f"http://127.0.0.1:{self.server_address[1]}/"

    @classmethod
    @contextmanager
    def open(cls) -> Iterator[Postbox]:
        """Take notices until the end."""
        with cls() as box:
            thread = threading.Thread(target=box.serve_forever, daemon=True)
            thread.start()
            try:
                yield box
            finally:
                box.shutdown()
                thread.join(10)

    def wait_for(self, run: int, status: str) -> set[str]:
        """Return the numbers of the notices that say so of a run, waiting until there is one; a repeated one is one."""
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            told = {number for of, end, number in self.notices if (of, end) == (run, status)}
            if told or time.monotonic() > deadline:
                return told
            time.sleep(0.5)


class _Slot(BaseHTTPRequestHandler):
    server: Postbox

    def do_POST(self) -> None:
        """Keep one notice."""
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.notices.append((said["run"], said["status"], self.headers["Labelfree-Notice"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""
