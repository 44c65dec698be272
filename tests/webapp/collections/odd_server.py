"""A server that is no bucket's."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Odd(BaseHTTPRequestHandler):
    """Answers as a server does that is no bucket's, is out of order, or breaks off."""

    answer: tuple[int, bytes, int] = (200, b"", 0)

    def do_GET(self):
        status, content, length = self.answer
        type(self).asked += 1
        self.send_response(status)
        self.send_header("Content-Length", str(length or len(content)))
        self.end_headers()
        self.wfile.write(content)
        self.close_connection = True

    def log_message(self, *_):
        pass


@pytest.fixture
def odd():
    """Return a function that starts such a server and gives its class and its address."""
    running = []

    def start(status: int, content: bytes, length: int = 0):
        handler = type("OddOne", (Odd,), {"answer": (status, content, length), "asked": 0})
        running.append(ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=running[-1].serve_forever, daemon=True).start()
        return handler, f"http://127.0.0.1:{running[-1].server_port}"

    yield start
    for one in running:
        one.shutdown()
        one.server_close()
