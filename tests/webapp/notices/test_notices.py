"""Who is told that a run has ended: by a real web server and a real mail server on this machine."""

from __future__ import annotations

import email
import email.policy
import hashlib
import hmac
import json
import time
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from core.errors import ConfigError
from tests.webapp.notices import receivers
from tests.webapp.runs import rows
from webapp.notices import outbox, webhook
from webapp.notices.models import Notice, NoticeSettings
from webapp.runs.models import Run

pytestmark = pytest.mark.django_db
PAGE = "/account/notices/"


@pytest.fixture
def receiver(settings):
    settings.WEBHOOKS_INSIDE = True
    with receivers.web() as one:
        yield one


@pytest.fixture
def mailbox(settings):
    with receivers.mail() as one:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", one.port
        yield one


@pytest.fixture
def collection(alice):
    return rows.collection(alice, 6, title="Bears\nBcc: x@example.org")


def ask(alice, receiver=None, **fields) -> NoticeSettings:
    url = f"http://127.0.0.1:{receiver.port}/hook?a=1" if receiver else ""
    return NoticeSettings.objects.create(user=alice, webhook_url=url, **fields)


def end(run: Run) -> Notice:
    outbox.note_end(run.pk)
    return Notice.objects.get(run=run)


def due(notice: Notice) -> None:
    Notice.objects.filter(pk=notice.pk).update(due_at=timezone.now() - timedelta(seconds=1))


def test_nobody_is_told_who_did_not_ask(collection):
    outbox.note_end(rows.run(collection).pk)
    assert not Notice.objects.exists()


def test_a_webhook_is_posted_once_signed_and_says_how_it_ended(alice, collection, receiver):
    wanted = ask(alice, receiver)
    notice = end(rows.run(collection, status="failed", retryable=True))
    outbox.deliver(notice.pk)
    outbox.deliver(notice.pk)  # its message came twice
    notice.refresh_from_db()
    assert (notice.status, notice.tries, notice.error) == ("sent", 1, "")
    (path, headers, body), = receiver.received
    assert path == "/hook?a=1" and headers["Content-Type"] == "application/json"
    said = json.loads(body)
    assert (said["event"], said["status"], said["retryable"]) == ("run.failed", "failed", True)
    assert said["outcome"].endswith("lower the learning rate") and said["page"].endswith(f"/runs/{notice.run_id}/")
    at, signed = (part.partition("=")[2] for part in headers["Labelfree-Signature"].split(","))
    assert abs(int(at) - time.time()) < 60
    assert signed == hmac.new(wanted.webhook_secret.encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()
    assert headers["Labelfree-Notice"] == str(notice.pk)


def test_a_success_is_told_by_mail_in_the_words_of_its_page(alice, collection, mailbox):
    ask(alice, email="alice@example.org")
    notice = end(rows.run(collection))
    outbox.deliver(notice.pk)
    notice.refresh_from_db()
    assert (notice.status, notice.error) == ("sent", "")
    (recipient, raw), = mailbox.received
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert recipient == "alice@example.org" and message["Bcc"] is None
    assert message["Subject"] == "MUST on Bears Bcc: x@example.org: succeeded"
    assert f"/runs/{notice.run_id}/" in message.get_content() and "score 90.0" in message.get_content()


def test_a_receiver_that_fails_is_tried_again_later_and_later_and_then_given_up(alice, collection, receiver):
    ask(alice, receiver)
    receiver.answers = [500, 302, 404, 503, 500]
    notice = end(rows.run(collection))
    for tries, pause in enumerate((*outbox.PAUSES, None), start=1):
        due(notice)
        outbox.deliver(notice.pk)
        notice.refresh_from_db()
        assert notice.tries == tries and "answered" in notice.error
        if pause is not None:
            assert notice.status == "waiting"
            assert timedelta(0) <= timezone.now() + pause - notice.due_at < timedelta(seconds=30)
    assert notice.status == "given_up"
    due(notice)
    outbox.deliver(notice.pk)
    assert [path for path, *_ in receiver.received] == ["/hook?a=1"] * 5  # the redirect was not followed


def test_a_receiver_that_is_away_is_named_so(alice, collection, settings):
    settings.WEBHOOKS_INSIDE = True
    with receivers.web() as gone:
        ask(alice, gone)
    notice = end(rows.run(collection))
    outbox.deliver(notice.pk)
    notice.refresh_from_db()
    assert (notice.status, notice.error) == ("waiting", "cannot be reached (Connection refused)")


def test_a_receiver_that_recovers_gets_the_same_notice(alice, collection, receiver):
    ask(alice, receiver)
    receiver.answers = [500]
    notice = end(rows.run(collection))
    for _ in range(2):
        due(notice)
        outbox.deliver(notice.pk)
    notice.refresh_from_db()
    assert (notice.status, notice.tries) == ("sent", 2)
    assert len({headers["Labelfree-Notice"] for _, headers, _ in receiver.received}) == 1


@pytest.mark.parametrize("host", [
    "127.0.0.1", "localhost", "10.0.0.1", "169.254.169.254", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "192.168.1.1",
    "2130706433", "[fe80::1]", "[2002:7f00:1::]", "[fec0::1]", "[64:ff9b::127.0.0.1]", "[64:ff9b::a00:1]",
    "[64:ff9b:1::169.254.169.254]"])
def test_a_webhook_does_not_reach_into_this_network(alice, collection, receiver, settings, host):
    settings.WEBHOOKS_INSIDE = False
    NoticeSettings.objects.create(user=alice, webhook_url=f"http://{host}:{receiver.port}/")
    notice = end(rows.run(collection))
    outbox.deliver(notice.pk)
    notice.refresh_from_db()
    assert "own network" in notice.error and notice.status == "waiting"
    assert receiver.received == []


def test_a_public_address_is_judged_public():
    for address in ("93.184.216.34", "2606:2800:220:1::1", "64:ff9b::93.184.216.34"):
        assert webhook._is_outside(address)


def test_a_receiver_that_drips_is_left_at_the_deadline(alice, collection, settings, monkeypatch):
    settings.WEBHOOKS_INSIDE = True
    monkeypatch.setattr(webhook, "DEADLINE_SECONDS", 1.0)
    with receivers.dripping() as slow:
        ask(alice, slow)
        notice = end(rows.run(collection))
        began = time.monotonic()
        outbox.deliver(notice.pk)
        assert time.monotonic() - began < 5
    notice.refresh_from_db()
    assert (notice.status, notice.error) == ("waiting", "cannot be reached (no whole answer within 1 seconds)")


def test_a_name_that_cannot_be_looked_up_is_given_up_too(alice, collection):
    NoticeSettings.objects.create(user=alice, webhook_url="http://a..b/")
    notice = end(rows.run(collection))
    for _ in range(len(outbox.PAUSES) + 1):
        due(notice)
        outbox.deliver(notice.pk)
    notice.refresh_from_db()
    assert notice.status == "given_up" and "is no address" in notice.error


def test_a_notice_whose_every_try_broke_off_is_given_up(alice, collection, receiver):
    ask(alice, receiver)
    notice = end(rows.run(collection))
    Notice.objects.update(tries=len(outbox.PAUSES) + 1)  # as processes leave it that were killed while they sent it
    due(notice)
    outbox.deliver(notice.pk)
    notice.refresh_from_db()
    assert notice.status == "given_up" and "broke off" in notice.error and receiver.received == []


@pytest.mark.parametrize("url", ["ftp://example.org/", "example.org", "https://", "https://a:b@example.org/",
                                 "http://example.org:99999/", "http://exa mple.org/", "http://a..b/",
                                 "http://e.org/\r\nX: y", "file:///etc"])
def test_what_is_no_address_is_refused(url):
    with pytest.raises(ConfigError):
        webhook.check(url)


def test_what_is_switched_off_meanwhile_is_not_sent(alice, collection, receiver):
    wanted = ask(alice, receiver)
    notice = end(rows.run(collection))
    wanted.delete()
    outbox.deliver(notice.pk)
    notice.refresh_from_db()
    assert notice.status == "given_up" and receiver.received == []


@pytest.mark.parametrize(("emptied", "channel"), [("email", "e-mail"), ("webhook_url", "webhook")])
def test_a_notice_whose_address_is_emptied_meanwhile_is_given_up_at_once(
        alice, collection, receiver, mailbox, emptied, channel):
    wanted = ask(alice, receiver, email="alice@example.org")
    outbox.note_end(rows.run(collection).pk)
    setattr(wanted, emptied, "")
    wanted.save()
    for one in Notice.objects.all():
        outbox.deliver(one.pk)
    assert {one.get_channel_display(): (one.status, one.error) for one in Notice.objects.all()} == {
        "e-mail": ("sent", ""), "webhook": ("sent", ""),
        channel: ("given_up", f"the person wants no notices by {channel} any more")}
    assert len(receiver.received) + len(mailbox.received) == 1


def test_who_has_left_the_collection_is_told_nothing_more_of_it(alice, charlie, collection, receiver):
    ask(alice, receiver)
    notice = end(rows.run(collection))
    collection.memberships.create(user=charlie, role="owner")
    collection.memberships.get(user=alice).change_role(None)
    outbox.deliver(notice.pk)
    notice.refresh_from_db()
    assert notice.status == "given_up" and receiver.received == []
    outbox.note_end(rows.run(collection).pk)
    assert Notice.objects.count() == 1


def test_the_page_stores_one_s_own_choice_and_shows_what_was_sent(signed_in, alice, collection, settings):
    settings.EMAIL_HOST = "mail.example.org"
    assert "No notices yet" in signed_in.get(PAGE).content.decode()
    signed_in.post(PAGE, {"email": "alice@example.org", "webhook_url": "https://example.org/hook"})
    wanted = NoticeSettings.objects.get(user=alice)
    assert (wanted.email, wanted.webhook_url) == ("alice@example.org", "https://example.org/hook")
    outbox.note_end(rows.run(collection).pk)
    page = signed_in.get(PAGE).content.decode()
    assert page.count(">waiting</span>") == 2 and wanted.webhook_secret in page
    signed_in.post(reverse("notices:renew_secret"))
    assert NoticeSettings.objects.get(user=alice).webhook_secret != wanted.webhook_secret


def test_the_page_refuses_what_is_no_address_where_it_was_typed(signed_in):
    answer = signed_in.post(PAGE, {"webhook_url": "ftp://example.org"})
    assert answer.status_code == 422 and "begins with https://" in answer.content.decode()
    assert not NoticeSettings.objects.exists()


def test_without_a_mail_server_no_mail_is_offered(signed_in, alice):
    assert "has no mail server" in signed_in.get(PAGE).content.decode()
    signed_in.post(PAGE, {"email": "alice@example.org", "webhook_url": ""})
    assert NoticeSettings.objects.get(user=alice).email == ""


def test_others_see_nothing_of_it(stranger: Client, alice, collection):
    ask(alice, email="alice@example.org")
    end(rows.run(collection))
    page = stranger.get(PAGE).content.decode()
    assert "alice@example.org" not in page and "Bears" not in page


def test_who_clears_the_last_address_is_told_that_nothing_is_told(alice, signed_in):
    for url, said in (("https://example.org/hook", "is told there"), ("", "so nothing is told of your runs")):
        page = signed_in.post(PAGE, {"email": "", "webhook_url": url}, follow=True).content.decode()
        assert said in page
