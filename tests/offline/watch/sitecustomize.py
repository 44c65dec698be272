"""Loaded by every Python process of the test: notes each name looked up and each address called beyond this machine."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

_SOCKET_NAME = socket.gethostname()


def _is_here(host: object) -> bool:
    name = host.decode() if isinstance(host, bytes) else str(host or "")
    return name in ("", "localhost", "::1", "0.0.0.0", "::", _SOCKET_NAME) or name.startswith("127.")


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    if not _is_here(host):
        with Path(os.environ["OFFLINE_NOTES"]).open("a") as notes:
            notes.write(f"{event} {host} by {' '.join(sys.argv)[:200]}\n")


sys.addaudithook(_note)
