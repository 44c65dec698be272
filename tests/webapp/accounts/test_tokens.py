"""API tokens: made, shown once, used, revoked."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from webapp.accounts.models import ApiToken


@pytest.fixture
def program(alice):
    _, secret = ApiToken.issue(alice, "laptop")
    return Client(enforce_csrf_checks=True, headers={"Authorization": f"Bearer {secret}"})


def test_it_is_shown_once_and_stored_as_a_digest(signed_in, alice):
    signed_in.post("/account/tokens/", {"name": "laptop", "scopes": ["write"], "days": "30"})
    first = signed_in.get("/account/").content.decode()
    secret = first.split('id="new-token">')[1].split("<")[0]
    assert secret.startswith("lf_")
    assert secret not in signed_in.get("/account/").content.decode()
    assert secret not in str(alice.api_tokens.values_list().get())
    assert Client(headers={"Authorization": f"Bearer {secret}"}).get("/uploads/").status_code == 405


def test_a_token_needs_a_purpose(signed_in):
    assert signed_in.post("/account/tokens/", {"name": " ", "scopes": ["read"], "days": "30"}).status_code == 422
    assert not ApiToken.objects.exists()


def test_a_token_opens_what_programs_use_and_nothing_else(program):
    assert program.options("/uploads/").status_code == 204
    assert program.get("/account/").status_code == 302
    assert program.get("/").status_code == 302
    assert program.post("/account/tokens/", {"name": "another"}).status_code in (302, 403)
    assert ApiToken.objects.count() == 1


def test_a_token_notes_when_it_was_used(program, alice):
    program.options("/uploads/")
    assert alice.api_tokens.get().last_used_at > timezone.now() - timedelta(minutes=1)


@pytest.mark.parametrize("change", [{"expires_at": timezone.now() - timedelta(seconds=1)}, {"digest": "0" * 64}])
def test_an_old_or_unknown_token_is_refused_in_words(program, change):
    ApiToken.objects.update(**change)
    response = program.options("/uploads/")
    assert response.status_code == 401
    assert "unknown, revoked or expired" in response.json()["error"]["reason"]


def test_a_token_of_someone_who_left_is_refused(program, alice):
    alice.is_active = False
    alice.save()
    assert program.options("/uploads/").status_code == 401


def test_it_can_be_revoked_by_its_owner_only(program, signed_in, stranger):
    pk = ApiToken.objects.get().pk
    assert stranger.post(f"/account/tokens/{pk}/revoke/").status_code == 404
    assert signed_in.post(f"/account/tokens/{pk}/revoke/").status_code == 302
    assert program.options("/uploads/").status_code == 401


def test_nobody_is_told_how_to_sign_in(db):
    response = Client().post("/uploads/")
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"
    assert "Bearer" in response.json()["error"]["fix"]


def test_its_scopes_and_its_end_are_chosen(signed_in, alice):
    signed_in.post("/account/tokens/", {"name": "laptop", "scopes": ["read", "review"], "days": "30"})
    made = alice.api_tokens.get()
    assert made.scopes == ["read", "review"]
    assert timedelta(days=29) < made.expires_at - timezone.now() <= timedelta(days=30)
    assert "read, review" in signed_in.get("/account/").content.decode()


@pytest.mark.parametrize("sent", [{}, {"scopes": ["all"]}, {"scopes": ["read"], "days": "9999"}])
def test_a_scope_or_an_end_that_is_none_is_refused(signed_in, sent):
    assert signed_in.post("/account/tokens/", {"name": "laptop", "days": "30", **sent}).status_code == 422
    assert not ApiToken.objects.exists()


def test_the_command_makes_one_with_scopes_and_an_end(alice, capsys):
    from django.core.management import call_command

    call_command("api_token", "alice", "--scopes", "read", "--days", "7")
    secret = capsys.readouterr().out.strip()
    made = alice.api_tokens.get()
    assert made.scopes == ["read"] and made.expires_at < timezone.now() + timedelta(days=8)
    client = Client(headers={"Authorization": f"Bearer {secret}"})
    assert client.get("/api/v1/collections").status_code == 200
    refused = client.post("/api/v1/collections", {"name": "x"}, content_type="application/json")
    assert refused.status_code == 403
    assert "takes the scope write" in refused.json()["error"]["reason"]
