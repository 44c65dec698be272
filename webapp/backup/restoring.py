"""Putting a backup back: checked whole before anything is touched, and what was there is kept beside it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from core.errors import DataError
from webapp.backup import database
from webapp.backup.folder import DATABASE, Manifest, copy, read_manifest, verify
from webapp.backup.making import roots


def restore_backup(folder: Path, *, replace: bool) -> Path | None:
    """Make this house what a backup says; return where what was here before is kept, if there was anything.

    Args:
        folder: the backup.
        replace: whether something that is here already may be put aside.

    Raises:
        DataError: if the backup is damaged or not for this house, or something is here and may not be replaced.
    """
    manifest = read_manifest(folder)
    _check_fits(folder, manifest)
    sums = verify(folder)
    is_empty = _is_empty()
    if not is_empty and not replace:
        raise DataError(str(settings.HOME), "not empty: restoring would replace what is here; add --replace, which "
                                            "keeps it in a folder beside")
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    arriving, aside = settings.HOME / f"restoring-{stamp}", settings.HOME / f"replaced-{stamp}"
    for name in roots():
        (arriving / name).mkdir(mode=0o700, parents=True)
    for name, sha256 in sums.items():
        if name.partition("/")[0] in roots() and copy(folder / name, arriving / name) != sha256:
            raise DataError(name, "changed while it was read; check the disk and take another backup")
    aside.mkdir(mode=0o700)
    if not is_empty:
        with database.copied(aside / DATABASE):
            pass
    database.put_back(folder / DATABASE)
    for name, root in roots().items():
        root.rename(aside / name)
        (arriving / name).rename(root)
    arriving.rmdir()
    call_command("migrate", verbosity=0, interactive=False)
    return None if is_empty else aside


def _check_fits(folder: Path, manifest: Manifest) -> None:
    """Refuse what this house cannot read.

    Raises:
        DataError: another kind of database, or a newer release.
    """
    if manifest.engine != database.engine():
        raise DataError(str(folder), f"a backup of {manifest.engine}, and this house uses {database.engine()}; set "
                                     "DATABASE_URL to the same kind of database")
    known = {f"{app}.{name}" for app, name in MigrationLoader(None).disk_migrations}
    if unknown := [name for name in manifest.migrations if name not in known]:
        raise DataError(str(folder), f"made by a newer release (it has {unknown[0]}); restore it with that release")


def _is_empty() -> bool:
    """Tell whether nobody has an account here and no file is stored."""
    tables = set(connection.introspection.table_names())
    if "auth_user" in tables:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM auth_user LIMIT 1")
            if cursor.fetchone():
                return False
    return not any(path.is_file() for root in roots().values() for path in root.rglob("*"))
