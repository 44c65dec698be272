"""A backup's folder: the copied files, a manifest, and SHA256SUMS over all of them.

    manifest.json    what it is of: format, time, database, applied migrations
    database         an SQLite file, or what pg_dump writes
    media/ uploads/ runs/
    SHA256SUMS       one line a file, so that `sha256sum -c SHA256SUMS` checks it without us

Format 1: the first.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from core.errors import DataError

FORMAT = 1
MANIFEST, DATABASE, SUMS = "manifest.json", "database", "SHA256SUMS"
BLOCK_BYTES = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a backup is of."""

    format: int
    made_at: str
    engine: str
    migrations: list[str]


def copy(source: Path, target: Path) -> str:
    """Copy one file, readable by its owner alone, down to the disk; return the SHA-256 of what was written.

    It keeps its times: a large image's is part of the fingerprint that a checkpoint must fit (`core.data.images`).
    """
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    total = hashlib.sha256()
    with source.open("rb") as read, os.fdopen(descriptor, "wb") as written:
        while block := read.read(BLOCK_BYTES):
            total.update(block)
            written.write(block)
        written.flush()
        state = os.fstat(read.fileno())
        os.utime(written.fileno(), ns=(state.st_atime_ns, state.st_mtime_ns))
        os.fsync(written.fileno())
    return total.hexdigest()


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_manifest(folder: Path, manifest: Manifest, sums: dict[str, str]) -> None:
    """Close a backup: its manifest, then the sums of all its files, the manifest's too."""
    (folder / MANIFEST).write_text(json.dumps(asdict(manifest), indent=1) + "\n", encoding="utf-8")
    sums = {**sums, MANIFEST: digest(folder / MANIFEST)}
    lines = (f"{sha256}  {name}\n" for name, sha256 in sorted(sums.items()))
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """Return what a folder is a backup of.

    Raises:
        DataError: if it is none, or of a format that this release does not know.
    """
    try:
        found = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        manifest = Manifest(**found)
    except (OSError, ValueError, TypeError) as error:
        raise DataError(str(folder), f"no backup of labelfree: {MANIFEST} cannot be read ({error}); name the folder "
                                     "that `manage.py backup` made") from None
    if manifest.format != FORMAT:
        raise DataError(str(folder), f"a backup of format {manifest.format}; this release reads format {FORMAT}")
    return manifest


def read_sums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of a backup, by its name.

    Raises:
        DataError: if there is no list, or it names a place outside the folder.
    """
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise DataError(str(folder), f"{SUMS} cannot be read ({error}); the backup was not finished") from None
    sums = {}
    for line in lines:
        sha256, _, name = line.partition("  ")
        path = PurePosixPath(name)
        if not name or path.is_absolute() or ".." in path.parts:
            raise DataError(name or line, "no place inside the backup; the list was changed")
        sums[name] = sha256
    return sums


def verify(folder: Path, names: Iterable[str] | None = None) -> dict[str, str]:
    """Read every file of a backup and return their sums.

    Raises:
        DataError: naming the first file that is missing, is a link or has changed.
    """
    sums = read_sums(folder)
    for name in sums if names is None else names:
        path = folder / name
        if path.is_symlink() or not path.is_file():
            raise DataError(name, "missing from the backup; take another one")
        if digest(path) != sums[name]:
            raise DataError(name, "not what was backed up: its SHA-256 differs; take another backup")
    return sums


def closed_to_us(error: OSError, folder: Path) -> str:
    """Return which folder keeps us from going on and who must be let into it; `folder` where the error names none."""
    file = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else folder
    return (f"{file}: {error.strerror or error}. The folder {file.parent} must be readable and writable by the user "
            f"who runs this (uid {os.geteuid()}), and have room.")
