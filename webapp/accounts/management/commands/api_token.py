"""Make an API token from the shell and print its secret, once."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand

from webapp.accounts.management.people import active_user
from webapp.accounts.models import ApiToken, Scope
from webapp.audit.trail import record_account


class Command(BaseCommand):
    """Print a new API token."""

    help = "Make an API token for a user and print it (it cannot be shown again)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the user, the token's name, its scopes and its end."""
        parser.add_argument("user_name")
        parser.add_argument("--name", default="made in the shell")
        parser.add_argument("--scopes", nargs="+", choices=Scope.values, default=Scope.values, metavar="SCOPE",
                            help=f"what it may do, of {', '.join(Scope.values)}; all when left out")
        parser.add_argument("--days", type=int, default=0, help="ends after so many days; never when left out")

    def handle(self, *args: object, **options: Any) -> None:
        """Print it."""
        user = active_user(options["user_name"])
        token, secret = ApiToken.issue(
            user, options["name"], options["scopes"], timedelta(days=options["days"]) or None)
        record_account(user, f"made the token “{token.name}” in the server's shell: {', '.join(token.scopes)}")
        self.stdout.write(secret)
