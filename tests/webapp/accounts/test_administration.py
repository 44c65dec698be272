"""The page of all accounts: who sees it, closing and opening an account, and handing over what it owns."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from core.errors import DataError
from tests.webapp.runs import rows
from webapp.accounts.activation import deactivate
from webapp.accounts.first_run import link_for
from webapp.accounts.models import ApiToken
from webapp.accounts.passwords import password_link
from webapp.audit.trail import account_history, history
from webapp.collections.deletion import trash_collection
from webapp.collections.models import Collection
from webapp.notices import outbox
from webapp.notices.models import Notice, NoticeSettings
from webapp.sharing.models import Invitation, Membership, Role

PASSWORD = "a quiet morning in May"


@pytest.fixture
def ada(db):
    return User.objects.create_user("ada", is_staff=True)


@pytest.fixture
def administrator(ada):
    client = Client()
    client.force_login(ada)
    return client


@pytest.fixture
def bob(db):
    return User.objects.create_user("bob", "bob@example.org", PASSWORD)


def post(client, name, account, **data):
    return client.post(reverse(name, args=[account.pk]), data, follow=True)


def is_let_in(client) -> bool:
    return client.get("/account/").status_code == 200


def test_it_lists_who_may_sign_in_with_what_they_keep(administrator, bob, charlie, settings):
    settings.QUOTA_BYTES = 5 * 2**30
    collection = Collection.objects.create(owner=bob, name="Bob's", features_bytes=2**20)
    rows.add_images(collection, 2)
    Collection.objects.update(images_bytes=2 * 2**20)
    rows.run(collection, stored_bytes=3 * 2**20)
    User.objects.filter(pk=bob.pk).update(last_login=timezone.now() - timedelta(days=3))
    NoticeSettings.objects.create(user=charlie, email="charlie@example.org")
    page = " ".join(administrator.get("/accounts/").content.decode().replace("\xa0", " ").split())
    for words in ("bob@example.org", "charlie@example.org", "3 days ago", "never signed in", "6.0 MB of 5.0 GB",
                  "1 collection<", "0 collections<"):
        assert words in page, words
    assert reverse("deactivate_account", args=[bob.pk]) in page
    assert page.count("Deactivate</summary>") == 2, "not oneself"


@pytest.mark.parametrize("name", ["deactivate_account", "activate_account", "give_collections"])
def test_it_is_for_administrators(bob, signed_in, charlie, name):
    assert signed_in.get("/accounts/").status_code == 403
    assert b"/accounts/" not in signed_in.get("/account/").content
    User.objects.filter(pk=charlie.pk).update(is_active=False)
    answer = post(signed_in, name, charlie, heir="bob")
    assert answer.status_code == 403 and b"takes an administrator" in answer.content
    assert not User.objects.get(pk=charlie.pk).is_active and User.objects.get(pk=bob.pk).is_active


def test_the_account_page_leads_there(administrator):
    assert b"/accounts/" in administrator.get("/account/").content


def test_who_is_deactivated_is_let_in_by_no_door(administrator, bob):
    browser, program = Client(), Client(headers={"Authorization": f"Bearer {ApiToken.issue(bob, 'x')[1]}"})
    browser.force_login(bob)
    links = [urlsplit(link).path for link in (link_for(bob), password_link(bob))]
    assert is_let_in(browser) and program.get("/api/v1/methods").status_code == 200

    said = post(administrator, "deactivate_account", bob).content.decode()
    assert "bob is signed out everywhere" in said and "runs go on" in said
    assert not is_let_in(browser)
    assert program.get("/api/v1/methods").status_code == 401
    assert Client().post(reverse("sign_in"), {"user_name": "bob", "password": PASSWORD}).status_code == 403
    assert Client().get(links[0]).status_code == 410
    answer = Client().get(links[1], follow=True)
    assert "new_password1" not in answer.content.decode(), "a link to a new password opens nothing either"
    assert is_let_in(administrator)


def test_a_session_is_not_there_again_when_the_account_is(administrator, bob, charlie):
    browser, other = Client(), Client()
    browser.force_login(bob)
    other.force_login(charlie)
    _, secret = ApiToken.issue(bob, "x")
    post(administrator, "deactivate_account", bob)
    assert Session.objects.count() == 2, "only theirs is gone"
    assert "bob can sign in again" in post(administrator, "activate_account", bob).content.decode()
    assert not is_let_in(browser) and is_let_in(other)
    assert Client().post(reverse("sign_in"), {"user_name": "bob", "password": PASSWORD}).status_code == 302
    assert Client(headers={"Authorization": f"Bearer {secret}"}).get("/api/v1/methods").status_code == 200


def test_what_is_theirs_stays_and_runs_go_on(administrator, bob):
    run = rows.run(rows.collection(bob), status="running")
    post(administrator, "deactivate_account", bob)
    run.refresh_from_db()
    assert (run.status, run.cancel_requested) == ("running", False)
    assert bob.collections.count() == 1


def test_who_is_deactivated_is_told_of_nothing(administrator, bob):
    run = rows.run(rows.collection(bob))
    NoticeSettings.objects.create(user=bob, email="bob@example.org")
    outbox.note_end(run.pk)
    post(administrator, "deactivate_account", bob)
    outbox.deliver(Notice.objects.get().pk)
    assert Notice.objects.get().status == "given_up"


def test_nobody_deactivates_themselves(administrator, ada):
    assert "is your own" in post(administrator, "deactivate_account", ada).content.decode()
    ada.refresh_from_db()
    assert ada.is_active


def test_an_administrator_always_stays(administrator, ada):
    """Two deactivate each other in one moment: the second finds that it is none any more."""
    second = User.objects.create_user("second", is_staff=True)
    User.objects.create_user("left long ago", is_staff=True, is_active=False)
    deactivate(ada, second)
    with pytest.raises(DataError, match="no administrator any more"):
        deactivate(second, ada)
    assert User.objects.get(pk=second.pk).is_active


def test_both_histories_say_it(administrator, ada, bob):
    post(administrator, "deactivate_account", bob)
    post(administrator, "activate_account", bob)
    assert [one.what for one in account_history(bob)] == ["was activated by ada", "was deactivated by ada"]
    assert [one.what for one in account_history(ada)] == ["activated the account bob", "deactivated the account bob"]
    post(administrator, "deactivate_account", ada)
    assert account_history(ada).count() == 2, "what was refused is not noted"


def test_what_they_own_is_handed_over_with_its_people(administrator, ada, bob, alice, charlie):
    kept, trashed = rows.collection(bob), rows.collection(bob, title="Old")
    trash_collection(trashed)
    shared = Collection.objects.create(owner=alice, name="Alice's")
    for collection, user, role in ((kept, charlie, "reviewer"), (kept, alice, "viewer"), (shared, bob, "owner")):
        Membership.objects.create(collection=collection, user=user, role=role)
    secret = Invitation.objects.issue(kept, Role.OWNER, bob)
    post(administrator, "deactivate_account", bob)
    said = post(administrator, "give_collections", bob, heir="alice").content.decode()
    assert "Handed over to alice: 2 collections" in said

    assert {one.owner for one in Collection.objects.all()} == {alice}
    assert set(kept.memberships.values_list("user__username", "role")) == {("alice", "owner"), ("charlie", "reviewer")}
    assert set(shared.memberships.values_list("user__username", "role")) == {("alice", "owner"), ("bob", "owner")}
    assert Client().get(reverse("sharing:accept", args=[secret])).status_code == 410
    assert [row["did"] for row in history(kept)] == ["handed it over from bob to alice"]
    assert account_history(alice).first().what == "was given 2 collections of bob by ada"


@pytest.mark.parametrize("heir", ["nobody", "bob", "gone", ""])
def test_it_is_handed_over_only_to_who_can_sign_in(administrator, bob, heir):
    User.objects.create_user("gone", is_active=False)
    collection = rows.collection(bob)
    post(administrator, "deactivate_account", bob)
    assert "no account that can sign in" in post(administrator, "give_collections", bob, heir=heir).content.decode()
    collection.refresh_from_db()
    assert collection.owner == bob


def test_a_name_that_postgres_cannot_look_for_is_refused_in_words(administrator, bob):
    def look(execute, sql, params, many, context):
        if any(isinstance(one, str) and "\0" in one for one in params or ()):
            raise ValueError("A string literal cannot contain NUL (0x00) characters.")
        return execute(sql, params, many, context)

    post(administrator, "deactivate_account", bob)
    with connection.execute_wrapper(look):
        said = post(administrator, "give_collections", bob, heir="al\0ice").content.decode()
    assert "no account that can sign in has this name" in said


def test_what_somebody_can_sign_in_to_is_not_taken_from_them(administrator, ada, bob):
    collection = rows.collection(bob)
    assert "Nothing was changed: bob can sign in" in post(
        administrator, "give_collections", bob, heir="ada").content.decode()
    collection.refresh_from_db()
    assert collection.owner == bob


def test_an_account_that_is_not_there_is_not_found(administrator):
    assert post(administrator, "deactivate_account", User(pk=10**9)).status_code == 404
