"""Back everything up while labelfree runs."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from core.errors import LabelfreeError
from webapp.backup.folder import closed_to_us
from webapp.backup.making import make_backup


class Command(BaseCommand):
    """Make a backup."""

    help = "Copy database and files into a new folder, consistent and checked by SHA-256; people may go on working."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the folder."""
        parser.add_argument("folder", type=Path, help="a folder that is not there yet, best on another disk")

    def handle(self, *args: object, **options: Any) -> None:
        """Make it."""
        os.umask(0o077)  # pictures and people's names: for nobody else on the machine
        folder = options["folder"].resolve()
        try:
            count = make_backup(folder)
        except LabelfreeError as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            raise CommandError(closed_to_us(error, folder)) from None
        self.stdout.write(f"{count} files are in {folder}, each read back and checked.")
