"""Notices: written down with the end of a run, delivered afterwards, tried again a few times, never twice at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from core.errors import LabelfreeError
from webapp.notices import letter, webhook
from webapp.notices.models import Notice, NoticeSettings
from webapp.runs.models import Run
from workers.app import send

PAUSES = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2))
"""Before the second try, the third, …; after the last one the notice is given up."""
Deliver = Callable[[Notice, NoticeSettings], None]
CHANNELS: dict[str, Deliver] = {Notice.Channel.EMAIL: letter.deliver, Notice.Channel.WEBHOOK: webhook.deliver}


def note_end(run_id: int) -> None:
    """Write down whom to tell that a run has ended; call it in the transaction that ends it."""
    recipient = _starter(Run.objects.select_related("collection").get(pk=run_id))
    wanted = NoticeSettings.objects.filter(user=recipient).first()
    if wanted is None:
        return
    for channel in Notice.Channel:
        if wanted.address(channel):
            notice = Notice.objects.create(run_id=run_id, recipient_id=recipient, channel=channel)
            transaction.on_commit(lambda pk=notice.pk: send("workers.tasks.send_notice", pk, "cpu"))


def _starter(run: Run) -> int:
    """Return who started a run, as the collection's trail has it; its owner where the trail does not say.

    A baseline that nobody asked for came with the first run that is compared with it.
    """
    for one in (run.pk, *run.compared_runs.order_by("pk").values_list("pk", flat=True)[:1]):
        said = Q(what__startswith=f"started run {one}, ") | Q(what__endswith=f" again, as run {one}")
        actors = run.collection.audit_trail.filter(said, what__startswith="started run ", actor__isnull=False)
        if actor := actors.values_list("actor_id", flat=True).first():
            return actor
    return run.collection.owner_id


def deliver(notice_id: int) -> None:
    """Try to deliver a notice that is due; what came twice finds it no longer due."""
    now = timezone.now()
    due = Notice.objects.filter(pk=notice_id, status=Notice.Status.WAITING, due_at__lte=now)
    if not due.update(tries=F("tries") + 1, due_at=now + PAUSES[0]):
        return
    notice = Notice.objects.select_related("run__collection", "recipient").get(pk=notice_id)
    this = Notice.objects.filter(pk=notice_id)
    wanted = NoticeSettings.objects.filter(user=notice.recipient_id, user__is_active=True).first()
    still_sees = notice.run.collection.memberships.filter(user=notice.recipient_id).exists()
    if notice.tries > len(PAUSES) + 1:  # each ended without a word: this process died, or the fault is ours
        this.update(status=Notice.Status.GIVEN_UP, error=f"{len(PAUSES) + 1} tries to send it broke off")
        return
    if wanted is None or not still_sees:
        this.update(status=Notice.Status.GIVEN_UP, error="the person wants no notices, or left")
        return
    if not wanted.address(notice.channel):
        reason = f"the person wants no notices by {notice.get_channel_display()} any more"
        this.update(status=Notice.Status.GIVEN_UP, error=reason)
        return
    try:
        CHANNELS[notice.channel](notice, wanted)
    except (LabelfreeError, OSError) as error:
        reason = f"cannot be reached ({error.strerror or error})" if isinstance(error, OSError) else str(error)
        if notice.tries > len(PAUSES):
            this.update(status=Notice.Status.GIVEN_UP, error=reason[:500])
        else:
            this.update(due_at=now + PAUSES[notice.tries - 1], sent_at=None, error=reason[:500])
    else:
        this.update(status=Notice.Status.SENT, error="")
