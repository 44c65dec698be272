"""Print a link by which somebody who forgot their password chooses a new one."""

from __future__ import annotations

from argparse import ArgumentParser

from django.core.management.base import BaseCommand

from webapp.accounts.management.people import active_user
from webapp.accounts.passwords import password_link


class Command(BaseCommand):
    """Print a one-time link to a new password."""

    help = "Print a link by which a user chooses a new password; it works once, for a day."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the user."""
        parser.add_argument("user_name")

    def handle(self, *args: object, **options: str) -> None:
        """Print it."""
        user = active_user(options["user_name"])
        self.stdout.write(password_link(user))
