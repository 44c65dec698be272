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

from core.data.members import HIDDEN, is_hidden, plain
from core.errors import DataError
from webapp.collections import sources
from webapp.collections.models import Upload
from webapp.collections.permissions import get_own_collection
from webapp.collections.receiving import clean_name
from webapp.collections.sources import Found, Source

LINK_OUT = "a link that leads out of the folder"
NO_UTF8 = "its name or its folder's is no UTF-8; rename it"
TOO_LONG = "its path is too long; give its folders shorter names"
SOURCE_CHARACTERS = Upload._meta.get_field("source").max_length


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
        DataError: for one that is not there, that leads out or that the server may not look for.
    """
    named = below[:80] or str(root)
    if len(below) > SOURCE_CHARACTERS:  # each of its parts would be looked up
        raise DataError(named, TOO_LONG)
    try:
        folder = (root / below).resolve()
        is_there = folder.is_relative_to(root.resolve()) and folder.is_dir()
    except OSError as error:
        raise DataError(named, f"the server cannot look for it: {error.strerror}") from None
    except RuntimeError:  # links that lead in a circle
        is_there = False
    if not is_there:
        raise DataError(named, f"there is no such folder below {root.name}")
    return folder


def files(root: Path, folder: Path) -> Iterator[Found]:
    """Yield the files below a folder in order, named from their root; linked folders are not entered.

    What the server may not read, folders too, is yielded with the reason.
    """
    closed: list[OSError] = []
    for where, names, found in os.walk(folder, onerror=closed.append):
        names.sort()
        for file in sorted(found):
            yield _found(root, Path(where) / file)
    for error in closed:
        below = Path(error.filename).relative_to(root.resolve()).as_posix()
        reason = f"the server cannot look into this folder: {error.strerror}; ask the administrator for the right to"
        yield Found(name=_shown(root, below), reason=HIDDEN if is_hidden(below) else reason)


def _found(root: Path, path: Path) -> Found:
    """Return a file of a folder, with the reason if it is not taken."""
    below = path.relative_to(root.resolve()).as_posix()
    name = _shown(root, below)
    try:
        if reason := HIDDEN if is_hidden(below) else _reason(root, path):
            return Found(name=name, reason=reason)
        state = path.stat()
    except OSError as error:
        return Found(name=name, reason=f"cannot be read from its folder: {error.strerror}")
    return Found(name=name, address=str(path), size_bytes=state.st_size, modified_ms=state.st_mtime_ns // 10**6)


def _shown(root: Path, below: str) -> str:
    return clean_name(plain(f"{root.name}/{below}"))


def _reason(root: Path, path: Path) -> str:
    """Return why a file is not taken, or ""."""
    if not path.is_file() or not path.resolve().is_relative_to(root.resolve()):
        return LINK_OUT
    if not _is_utf8(str(path)):
        return NO_UTF8
    return TOO_LONG if len(str(path)) > SOURCE_CHARACTERS else ""


def _is_utf8(path: str) -> bool:
    """Tell whether a database takes a path; of others Python keeps the disk's bytes as lone surrogates."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


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
