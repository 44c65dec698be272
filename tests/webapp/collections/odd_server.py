"""A server that is no bucket's."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler


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
