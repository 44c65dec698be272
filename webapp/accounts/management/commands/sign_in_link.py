"""Print a link that signs a user in once: for the demo, and for who forgot a password."""

from __future__ import annotations

from argparse import ArgumentParser

from django.core.management.base import BaseCommand

from webapp.accounts.first_run import link_for
from webapp.accounts.management.people import active_user


class Command(BaseCommand):
    """Print a one-time sign-in link."""

    help = "Print a link that signs a user in once and goes on to --next."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the user and the page."""
        parser.add_argument("user_name")
        parser.add_argument("--next", default="", help="the page it opens, like /collections/1/; else the first page")

    def handle(self, *args: object, **options: str) -> None:
        """Print it."""
        user = active_user(options["user_name"])
        self.stdout.write(link_for(user, options["next"]))
