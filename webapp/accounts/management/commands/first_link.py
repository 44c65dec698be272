"""Print the one-time link that makes the administrator."""

from __future__ import annotations

from django.core.management.base import BaseCommand

from webapp.accounts.first_run import first_link


class Command(BaseCommand):
    """Print a new first-run link, or say that there is an administrator already."""

    help = "Print the one-time link that makes the administrator (first run only)."

    def handle(self, *args: object, **options: object) -> None:
        """Print it."""
        link = first_link()
        if link:
            self.stdout.write(f"Make the administrator here (works once, for a day):\n\n  {link}\n")
        else:
            self.stdout.write("There is an administrator already: `manage.py sign_in_link NAME` prints a link for one.")
