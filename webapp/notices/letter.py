"""What a notice says, and its way by e-mail."""

from __future__ import annotations

from django.conf import settings
from django.core.mail import EmailMessage
from django.urls import reverse

from core.errors import ConfigError
from webapp.accounts.first_run import base_url
from webapp.notices.models import Notice, NoticeSettings
from webapp.runs import figures
from webapp.runs.models import Run
from webapp.runs.words import title_of


def page_of(run: Run) -> str:
    """Return the address of a run's page as people reach it."""
    return base_url() + reverse("runs:detail", args=[run.pk])


def outcome(run: Run) -> str:
    """Return how a run ended, in a sentence or two with the next step."""
    return figures.headline(run) if run.status == Run.Status.SUCCEEDED else run.error


def deliver(notice: Notice, wanted: NoticeSettings) -> None:
    """Send the notice to the person's address.

    Raises:
        ConfigError: this installation has no mail server.
        OSError: the mail server does not answer or refuses.
    """
    if not settings.EMAIL_HOST:
        raise ConfigError("e-mail", "there is no mail server here; an administrator names one in LABELFREE_SMTP")
    run = notice.run
    title = f"{title_of(run.method)} on {' '.join(run.collection.name.split())}: {run.status}"
    EmailMessage(
        subject=title, to=[wanted.email], headers={"Auto-Submitted": "auto-generated"},
        body=f"{title}\n\n{outcome(run)}\n\n{page_of(run)}\n\nYou asked labelfree to tell you when your runs end. "
             "To change that: Account, Notices.\n").send()
