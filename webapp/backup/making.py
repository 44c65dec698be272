"""Making a backup while people work: files are held by hard links, so that none goes before it is copied.

What the copied database names must be among the copied files. A file is linked before the database is
copied, or after it; one that came and went in between leads to another try.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from core.errors import DataError
from webapp.backup import database
from webapp.backup.folder import DATABASE, FORMAT, Manifest, copy, digest, verify, write_manifest

TRIES = 3


def roots() -> dict[str, Path]:
    """Return the folders of files that are backed up, by their name in the backup; the cache is made anew."""
    return {"media": settings.MEDIA_ROOT, "uploads": settings.UPLOADS_ROOT, "runs": settings.RUNS_ROOT}


def make_backup(target: Path) -> int:
    """Back everything up into a new folder and read it back; return how many files that were.

    Raises:
        DataError: if the folder is there already, or what is stored does not hold together.
    """
    if target.exists():
        raise DataError(str(target), "there already; name a new folder")
    part = target.with_name(f"{target.name}.part")
    try:
        part.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        raise DataError(str(part), "a backup that was broken off; remove it first") from None
    try:
        sums = _copy_everything(part)
        manifest = Manifest(format=FORMAT, made_at=datetime.now(UTC).isoformat(timespec="seconds"),
                            engine=database.engine(), migrations=applied_migrations())
        write_manifest(part, manifest, sums)
        verify(part)
        part.rename(target)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return len(sums)


def applied_migrations() -> list[str]:
    """Return the migrations that this database has seen, as "app.name"."""
    return sorted(f"{app}.{name}" for app, name in MigrationRecorder(connection).applied_migrations())


def _copy_everything(part: Path) -> dict[str, str]:
    """Copy database and files; return the sums by name."""
    for remaining in reversed(range(TRIES)):
        with _links() as held:
            _hold_files(held)
            (part / DATABASE).unlink(missing_ok=True)
            with database.copied(part / DATABASE) as rows:
                _hold_files(held)
                missing = _missing(held, rows)
            if missing and remaining:
                continue
            if missing:
                raise DataError(missing[0], f"named by the database, and not there ({len(missing)} such files); a "
                                            "backup would not be whole. Delete what needs it, then try again")
            files = sorted(path for path in held.rglob("*") if path.is_file())
            sums = {str(path.relative_to(held)): copy(path, part / path.relative_to(held)) for path in files}
            return {**sums, DATABASE: digest(part / DATABASE)}
    raise AssertionError("the last try returns or raises")


@contextmanager
def _links() -> Iterator[Path]:
    """Give a folder beside the files, on the same disk, for links to them.

    What a killed backup left is removed first: its links would keep what is deleted for good on the disk.

    Raises:
        DataError: where another backup is under way.
    """
    with (settings.HOME / "backup.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError("backup", "another one is being made here; wait until it has ended") from None
        for left in (*settings.HOME.glob("backup.links"), *settings.HOME.glob("backup.[0-9]*")):  # older releases'
            shutil.rmtree(left)
        held = settings.HOME / "backup.links"
        held.mkdir(mode=0o700)
        try:
            yield held
        finally:
            shutil.rmtree(held)


def _hold_files(held: Path) -> None:
    """Link every file that is not linked yet; half-written ones (.part) are nobody's."""
    for name, root in roots().items():
        for path in root.rglob("*"):
            link = held / name / path.relative_to(root)
            if path.suffix == ".part" or path.is_symlink() or not path.is_file() or link.exists():
                continue
            link.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                os.link(path, link)
            except FileNotFoundError:
                continue  # it went a moment ago; if a row names it, that is found below


def _missing(held: Path, rows: database.Rows) -> list[str]:
    """Return the files that rows of the copied database name and that are not held.

    What comes from a folder or a bucket has no file before a worker has fetched it, and is fetched again without one.
    """
    pictures = rows("SELECT file FROM collections_image UNION SELECT thumbnail FROM collections_image")
    uploads = rows("SELECT CAST(id AS TEXT) FROM collections_upload WHERE received_bytes > 0 "
                   "AND source = '' AND status IN ('receiving', 'received', 'reading')")
    named = [f"media/{name}" for (name,) in pictures] + [f"uploads/{_dashed(pk)}" for (pk,) in uploads]
    return [name for name in named if not (held / name).is_file()]


def _dashed(pk: str) -> str:
    """Return an upload's id as its file is called; SQLite keeps it without dashes."""
    digits = pk.replace("-", "")
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
