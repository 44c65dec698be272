"""The lock on LABELFREE_HOME: whoever serves or works holds it together with others, whoever restores holds it alone.

It is a lock on a file in that folder, so it reaches as far as the folder does: over a network file system too. Machines
that share a Postgres and not the file system do not see each other's; there a person stops web and workers on each.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from django.conf import settings

from core.errors import DataError

NAME = "in_use.lock"


def held_with_others() -> BinaryIO:
    """Return the lock, held until this file is closed or the process ends.

    Raises:
        DataError: while a backup is being put back here.
    """
    return _locked(fcntl.LOCK_SH, "a backup is being put back here; start again when that has ended")


@contextmanager
def held_alone() -> Iterator[None]:
    """Keep everybody else from serving and working here.

    Raises:
        DataError: where somebody does.
    """
    with _locked(fcntl.LOCK_EX, "labelfree runs here. Stop web and workers first, on every machine that uses this "
                                "database: docker compose stop web worker, or Ctrl-C where “manage.py up” runs"):
        yield


def _locked(kind: int, otherwise: str) -> BinaryIO:
    file = (settings.HOME / NAME).open("a+b")  # a network file system shares what is read, and keeps what is written
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise DataError(str(settings.HOME), otherwise) from None
    return file
