"""Print a link by which somebody new makes an account, with nothing shared yet."""

from __future__ import annotations

from django.core.management.base import BaseCommand
from django.urls import reverse

from webapp.accounts.first_run import base_url
from webapp.sharing.models import Invitation, Role


class Command(BaseCommand):
    """Print an invitation to this server."""

    help = "Print a link by which one new person makes an account; it works once, for seven days."

    def handle(self, *args: object, **options: object) -> None:
        """Print it."""
        secret = Invitation.objects.issue(None, Role.VIEWER, None)
        self.stdout.write(base_url() + reverse("sharing:accept", args=[secret]))
