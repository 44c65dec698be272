"""Put a backup back, while labelfree stands still."""

from __future__ import annotations

import fcntl
import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from core.errors import LabelfreeError
from webapp.backup.restoring import restore_backup


class Command(BaseCommand):
    """Restore a backup."""

    help = "Check a backup, then make database and files what it says. Stop labelfree first."
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the folder, and the leave to replace."""
        parser.add_argument("folder", type=Path, help="what `manage.py backup` made")
        parser.add_argument("--replace", action="store_true", help="put aside what is here already")

    def handle(self, *args: object, **options: Any) -> None:
        """Restore it, holding the lock that `manage.py up` takes."""
        os.umask(0o077)
        with (settings.HOME / "up.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CommandError(f"labelfree runs in {settings.HOME}. Stop it first, on every machine that uses this "
                                   "database.") from None
            try:
                aside = restore_backup(options["folder"].resolve(), replace=options["replace"])
            except LabelfreeError as error:
                raise CommandError(str(error)) from None
        self.stdout.write(f"Restored from {options['folder']}. With a new secret key everybody signs in again.")
        if aside is not None:
            self.stdout.write(f"What was here before is in {aside}; remove it when nothing is missed.")
