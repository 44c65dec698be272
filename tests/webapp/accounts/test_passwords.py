"""Passwords: changed with the old one, or by a link of the server's shell that works once."""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.test import Client

from webapp.accounts.first_run import link_for
from webapp.accounts.models import ApiToken
from webapp.accounts.passwords import password_link
from webapp.audit.trail import account_history

OLD, NEW = "the old sentence", "a new sentence"


@pytest.fixture
def dora(db, django_user_model):
    return django_user_model.objects.create_user("dora", password=OLD)


@pytest.fixture
def link(dora, capsys):
    call_command("password_link", "dora")
    return urlsplit(capsys.readouterr().out.strip()).path


def chosen(client, link, password=NEW):
    """Follow the link, whose secret goes into the session, and send the form."""
    form = client.get(link, follow=True)
    return client.post(form.request["PATH_INFO"], {"new_password1": password, "new_password2": password})


def test_the_link_takes_a_new_password_once_and_signs_in(link, client, dora):
    assert chosen(client, link).headers["Location"] == "/"
    assert client.get("/").status_code == 200
    dora.refresh_from_db()
    assert dora.check_password(NEW)
    assert "This link is spent" in Client().get(link, follow=True).content.decode()


def test_looking_at_the_link_changes_nothing_and_hides_it(link, client, dora):
    page = client.get(link, follow=True)
    assert link.rstrip("/").rsplit("/", 1)[1] not in page.content.decode() + page.request["PATH_INFO"]
    dora.refresh_from_db()
    assert dora.check_password(OLD)


@pytest.mark.parametrize("password", ["short", "1234567890", "password123"])
def test_a_weak_password_is_refused_and_the_link_stays(link, client, dora, password):
    assert chosen(client, link, password).status_code == 200
    dora.refresh_from_db()
    assert dora.check_password(OLD)
    assert chosen(Client(), link).status_code == 302


def test_the_link_ends_after_a_day(link, client, monkeypatch):
    later = datetime.now() + timedelta(hours=24, seconds=5)
    monkeypatch.setattr(PasswordResetTokenGenerator, "_now", lambda self: later)
    assert "This link is spent" in client.get(link, follow=True).content.decode()


def test_a_link_of_another_user_does_not_fit(link, client, charlie):
    parts = link.strip("/").split("/")
    theirs = urlsplit(password_link(charlie)).path.strip("/").split("/")
    mixed = "/" + "/".join([*parts[:-2], theirs[-2], parts[-1]]) + "/"
    assert "This link is spent" in client.get(mixed, follow=True).content.decode()


def test_the_command_names_a_user_who_is_none(db):
    with pytest.raises(CommandError, match="no user 'nobody'"):
        call_command("password_link", "nobody")


def test_changing_it_takes_the_old_one_and_ends_other_sessions(dora):
    here, elsewhere = Client(), Client()
    here.force_login(dora)
    elsewhere.force_login(dora)
    wrong = here.post("/account/password/", {"old_password": "x", "new_password1": NEW, "new_password2": NEW})
    assert wrong.status_code == 200 and "old password" in wrong.content.decode()
    sent = {"old_password": OLD, "new_password1": NEW, "new_password2": NEW}
    assert here.post("/account/password/", sent).headers["Location"] == "/account/"
    assert here.get("/").status_code == 200
    assert elsewhere.get("/").status_code == 302


def test_a_new_password_by_the_link_ends_whatever_else_opens_the_account(link, client, dora, charlie):
    for person in (dora, charlie):
        ApiToken.issue(person, "laptop")
    spare = urlsplit(link_for(dora)).path
    assert "your API tokens end" in client.get(link, follow=True).content.decode()
    chosen(client, link)
    assert list(ApiToken.objects.values_list("user__username", flat=True)) == ["charlie"]
    assert Client().get(spare).status_code == 410


def test_changing_it_keeps_the_tokens_and_says_so(dora):
    ApiToken.issue(dora, "laptop")
    client = Client()
    client.force_login(dora)
    sent = {"old_password": OLD, "new_password1": NEW, "new_password2": NEW}
    assert "revoke below" in client.post("/account/password/", sent, follow=True).content.decode()
    assert dora.api_tokens.count() == 1


def test_what_happens_to_an_account_is_noted_and_its_owner_alone_sees_it(link, client, dora, stranger):
    cache.clear()
    client.post("/sign-in/", {"user_name": "dora", "password": "wrong"})
    client.post("/sign-in/", {"user_name": "dora", "password": OLD})
    client.post("/account/tokens/", {"name": "laptop", "scopes": ["read"], "days": "30"})
    client.post("/account/password/", {"old_password": OLD, "new_password1": NEW, "new_password2": NEW})
    client.post("/account/notices/", {"webhook_url": "https://hooks.example/secret"})
    client.post("/account/notices/secret/")
    client.post(f"/account/tokens/{dora.api_tokens.get().pk}/revoke/")
    call_command("api_token", "dora", "--name", "script")
    dora.refresh_from_db()
    chosen(Client(), urlsplit(password_link(dora)).path)
    said = [entry.what for entry in account_history(dora)][::-1]
    assert said == [
        "signed in with the password, from 127.0.0.1", "made the token “laptop”: read", "changed the password",
        "set the webhook address to hooks.example", "renewed the webhook's secret", "revoked the token “laptop”",
        "made the token “script” in the server's shell: read, write, review",
        "chose a new password by a link; 1 token ended"]
    dora.refresh_from_db()
    fresh = Client()
    fresh.force_login(dora)
    assert "set the webhook address" in fresh.get("/account/").content.decode()
    assert "set the webhook address" not in stranger.get("/account/").content.decode()
