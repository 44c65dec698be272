"""Folders mounted on the server as a source of images: only below the roots that its administrator lists."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from core.data.members import HIDDEN, is_hidden
from core.errors import DataError
from webapp.collections import sources
from webapp.collections.models import Upload
from webapp.collections.permissions import get_own_collection
from webapp.collections.receiving import clean_name
from webapp.collections.sources import Found, Source

LINK_OUT = "a link that leads out of the folder"


@require_POST
def add_folder(request: HttpRequest, pk: int) -> HttpResponse:
    """Add what is new in a folder on the server."""
    def look(below: str) -> Source:
        root = _root(request.POST.get("root", ""))
        return Source(root.name, "the server's folder", files(root, folder_below(root, below)))

    return sources.answer(request, get_own_collection(request, pk), look)


def _root(place: str) -> Path:
    """Return a root by its place in the setting."""
    roots = settings.SOURCE_ROOTS
    if not place.isascii() or not place.isdigit() or int(place[:4]) >= len(roots):
        raise DataError("folder", "it is not one of those that the administrator lists in LABELFREE_FOLDERS")
    return roots[int(place[:4])]


def folder_below(root: Path, below: str) -> Path:
    """Return a folder below a root.

    Raises:
        DataError: for one that is not there or that leads out.
    """
    folder = (root / below).resolve()
    if not folder.is_relative_to(root.resolve()) or not folder.is_dir():
        raise DataError(below or str(root), f"there is no such folder below {root.name}")
    return folder


def files(root: Path, folder: Path) -> Iterator[Found]:
    """Yield the files below a folder in order, named from their root; linked folders are not entered."""
    for where, names, found in os.walk(folder):
        names.sort()
        for file in sorted(found):
            path = Path(where) / file
            name = clean_name(f"{root.name}/{path.relative_to(root.resolve()).as_posix()}")
            if is_hidden(path.relative_to(root.resolve()).as_posix()):
                yield Found(name=name, reason=HIDDEN)
            elif not path.is_file() or not path.resolve().is_relative_to(root.resolve()):
                yield Found(name=name, reason=LINK_OUT)
            else:
                state = path.stat()
                yield Found(name=name, address=str(path), size_bytes=state.st_size,
                            modified_ms=state.st_mtime_ns // 10**6)


def fetch(upload: Upload) -> None:
    """Copy a file from its folder to where an upload's bytes gather.

    Raises:
        DataError: when it has gone, or leads out of the roots by now.
        OSError: when the disk is full.
    """
    path = Path(upload.source)
    if not any(path.resolve().is_relative_to(root.resolve()) for root in settings.SOURCE_ROOTS):
        raise DataError(upload.name, "its folder is not among those that the administrator lists any more")
    try:
        with sources.arriving(upload) as part:
            shutil.copyfile(path, part)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DataError(upload.name, f"cannot be read from its folder: {error.strerror}") from None
