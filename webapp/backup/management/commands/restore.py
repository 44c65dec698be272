"""Put a backup back, while labelfree stands still."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from core.errors import LabelfreeError
from webapp.backup.folder import closed_to_us
from webapp.backup.restoring import restore_backup
from webapp.config.home_lock import held_alone


class Command(BaseCommand):
    """Restore a backup."""

    help = "Check a backup, then make database and files what it says. Stop labelfree first."
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the folder, and the leave to replace."""
        parser.add_argument("folder", type=Path, help="what `manage.py backup` made")
        parser.add_argument("--replace", action="store_true", help="put aside what is here already")

    def handle(self, *args: object, **options: Any) -> None:
        """Restore it, while nobody else uses what it replaces."""
        os.umask(0o077)
        try:
            with held_alone():
                aside = restore_backup(options["folder"].resolve(), replace=options["replace"])
        except LabelfreeError as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            raise CommandError(closed_to_us(error, options["folder"])) from None
        self.stdout.write(f"Restored from {options['folder']}. With a new secret key everybody signs in again.")
        if aside is not None:
            self.stdout.write(f"What was here before is in {aside}; remove it when nothing is missed.")
