"""Make an API token from the shell and print its secret, once."""

from __future__ import annotations

from argparse import ArgumentParser

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError

from webapp.accounts.models import ApiToken


class Command(BaseCommand):
    """Print a new API token."""

    help = "Make an API token for a user and print it (it cannot be shown again)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the user and the token's name."""
        parser.add_argument("user_name")
        parser.add_argument("--name", default="made in the shell")

    def handle(self, *args: object, **options: str) -> None:
        """Print it."""
        user = User.objects.filter(username=options["user_name"], is_active=True).first()
        if user is None:
            raise CommandError(f"there is no user {options['user_name']!r}")
        self.stdout.write(ApiToken.issue(user, options["name"])[1])
