"""The key that signs sessions: made at the first start, kept in a file only its owner may read."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def read_or_make(path: Path) -> str:
    """Return the key in `path`, making it (mode 0600) when there is none.

    Web and workers may start at the same moment: the key is written aside and linked into place, so
    that one of them wins and the other reads the winner's.
    """
    if not path.exists():
        aside = path.with_name(f".{path.name}.{os.getpid()}")
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(64))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(aside, path)
        except FileExistsError:
            pass
        finally:
            aside.unlink()
    path.chmod(0o600)
    return path.read_text()
